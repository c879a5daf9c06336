"""Short-lived containers beside those of the stack: each runs one command, is waited for, and is removed."""

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from docker import DockerClient
from docker.errors import APIError, ImageNotFound, NotFound
from docker.types import Mount
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ReadTimeout, RequestException

from components.orchestrator.hardening import DROPPED_CAPABILITIES, SECURITY_OPTIONS

NOT_STARTED = -1
NO_NETWORK = "none"


@dataclass(frozen=True, kw_only=True)
class ShortLived:
    """One command, hardened as the stack's containers are.

    `mounts` has the name of each volume by its path, `volume_options` the options of Docker's local driver for those
    that may not exist where it runs. With `no_copy` an empty one stays as it is. `secrets` are files by
    path that only the user of the container reads; they are gone with the container. `timeout_seconds` None: no limit.
    """

    name: str
    image: str
    uid: int
    command: Sequence[str]
    memory_mb: int
    network: str = NO_NETWORK
    mounts: Mapping[str, str] = field(default_factory=dict)
    volume_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    no_copy: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: int | None = 60


def run_short_lived(client: DockerClient, spec: ShortLived) -> tuple[int, str]:
    """Return exit code and output of a command; NOT_STARTED and Docker's reason where it did not run to its end.

    A container of the name is one that a killed program has left, and is removed first.
    """
    with _container(client, spec) as container:
        try:
            container.start()
            code = container.wait(timeout=spec.timeout_seconds)["StatusCode"]
        except APIError as error:
            return NOT_STARTED, str(error.explanation or error)
        except (ReadTimeout, RequestsConnectionError):
            seconds = spec.timeout_seconds or client.api.timeout
            return NOT_STARTED, f"no answer within {seconds} s"
        return int(code), bytes(container.logs()).decode(errors="replace").strip()


def pull_missing(client: DockerClient, image: str, report: Callable[[], None]) -> None:
    """Pull an image that Docker Engine does not have. Raises docker.errors.APIError."""
    try:
        client.images.get(image)
    except ImageNotFound:
        report()
        client.images.pull(image)


@contextmanager
def _container(client: DockerClient, spec: ShortLived) -> Iterator[Any]:
    with suppress(NotFound):
        client.api.remove_container(spec.name, force=True)
    options: dict[str, Any] = {
        "entrypoint": list(spec.command),
        "user": f"{spec.uid}:{spec.uid}",
        "environment": dict(spec.environment),
        "mounts": [Mount(path, volume, type="volume", no_copy=spec.no_copy) for path, volume in spec.mounts.items()],
        "network": spec.network,
        "mem_limit": f"{spec.memory_mb}m",
        "memswap_limit": f"{spec.memory_mb}m",
        "cap_drop": list(DROPPED_CAPABILITIES),
        "security_opt": list(SECURITY_OPTIONS),
        "init": True,
    }
    container = client.containers.create(spec.image, name=spec.name, **options)
    try:
        if spec.secrets:
            container.put_archive("/", _packed(spec.secrets, spec.uid))
        yield container
    finally:
        # Where Docker Engine still waits for a mount, the next run removes it.
        with suppress(APIError, RequestException):
            container.remove(force=True)


def _packed(files: Mapping[str, str], uid: int) -> bytes:
    with io.BytesIO() as packed:
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for path, content in files.items():
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.size, entry.uid, entry.gid, entry.mode = len(content.encode()), uid, uid, 0o400
                archive.addfile(entry, io.BytesIO(content.encode()))
        return packed.getvalue()
