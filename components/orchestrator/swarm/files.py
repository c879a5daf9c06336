"""Files of a container as configs and secrets of a swarm, which bring them to any node.

They cannot be changed, so each has its content in its name: another content is another object, and the old one is
removed once no task has it. After an `up` that has failed it is still there. So an `up` that goes back to its content
needs another name, and a random part of all names changes with any content of a service.
"""

import base64
import hashlib
import hmac
import re

import pulumi
import pulumi_docker as docker
import pulumi_random as random

from components.orchestrator.container_spec import ContainerSpec, File

LONGEST_NAME = 64
DIGITS = 12  # of the hash in a name
READABLE, EXECUTABLE, PRIVATE = 0o444, 0o555, 0o400


def object_name(prefix: str, path: str, content: str, key: str) -> str:
    """Return the name of the config or secret of a file. The key keeps a secret from being guessed by the name."""
    # With the whole prefix: of a long one the name has only the beginning, which all parts have.
    hashed = _digest(key, prefix, path, content)[:DIGITS]
    readable = re.sub(r"[^A-Za-z0-9_.-]", "-", f"{prefix}-{path.rpartition('/')[2]}")
    return f"{readable[: LONGEST_NAME - DIGITS - 1].rstrip('-_.')}-{hashed}"


def key_of_names(
    part: str, spec: ContainerSpec, key: pulumi.Output[str], opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """Return the key of the names of a part's files, another one after each change of one of them."""
    contents = pulumi.Output.all(key, *(pulumi.Output.from_input(file.content) for file in spec.files))
    paths = [file.path for file in spec.files]
    digest = contents.apply(lambda values: _digest(values[0], *paths, *values[1:]))
    # No secret, since it tells nothing of the content without the key.
    keepers = {"files": pulumi.Output.unsecret(digest)}
    names = random.RandomId(f"{part}-file-names", byte_length=6, keepers=keepers, opts=opts)
    return pulumi.Output.concat(key, names.hex)


def configs(
    part: str, spec: ContainerSpec, key: pulumi.Output[str], opts: pulumi.ResourceOptions
) -> list[docker.ServiceTaskSpecContainerSpecConfigArgs]:
    """Register the files that are no secrets and return what a service has of them: owned by root, readable by all."""
    args = []
    for file in spec.files:
        if not file.secret:
            name, data = _named(spec, file, key)
            config = docker.ServiceConfig(_resource(part, file), name=name, data=data, opts=opts)
            args.append(
                docker.ServiceTaskSpecContainerSpecConfigArgs(
                    config_id=config.id,
                    config_name=config.name,
                    file_name=file.path,
                    file_mode=EXECUTABLE if file.executable else READABLE,
                )
            )
    return args


def secrets(
    part: str, spec: ContainerSpec, key: pulumi.Output[str], opts: pulumi.ResourceOptions
) -> list[docker.ServiceTaskSpecContainerSpecSecretArgs]:
    """Register the secret files and return what a service has of them: only the container's user can read them."""
    args = []
    for file in spec.files:
        if file.secret:
            name, data = _named(spec, file, key)
            protected: pulumi.Output[str] = pulumi.Output.secret(data)
            secret = docker.Secret(_resource(part, file), name=name, data=protected, opts=opts)
            args.append(
                docker.ServiceTaskSpecContainerSpecSecretArgs(
                    secret_id=secret.id,
                    secret_name=secret.name,
                    file_name=file.path,
                    file_uid=str(spec.uid),
                    file_gid=str(spec.uid),
                    file_mode=PRIVATE,
                )
            )
    return args


def _digest(key: str, *texts: str) -> str:
    return hmac.new(key.encode(), "\0".join(texts).encode(), hashlib.sha256).hexdigest()


def _resource(part: str, file: File) -> str:
    return f"{part}-{file.path.strip('/').replace('/', '-')}"


def _named(spec: ContainerSpec, file: File, key: pulumi.Output[str]) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    """Return the name and the data of a file; the name is no secret, since it tells nothing of the content."""
    content = pulumi.Output.from_input(file.content)
    name = pulumi.Output.all(content, key).apply(lambda values: object_name(spec.name, file.path, *values))
    data = content.apply(lambda text: base64.b64encode(text.encode()).decode())
    return pulumi.Output.unsecret(name), data
