"""Finds foreign containers in a stack's networks and volumes: `pulumi destroy` fails on them and does not name them."""

from __future__ import annotations

from collections.abc import Iterator

import docker

from components.naming import STACK_LABEL
from components.orchestrator.client import connect
from tools.naming import naming
from tools.terminal import report


def warn(docker_host: str, stack: str, *, volumes: bool) -> None:
    """Log each foreign container in a stack's networks and, with `volumes`, in its volumes, with the fix."""
    client = connect(docker_host)
    prefix = naming(stack).prefix
    for text in (*in_networks(client, prefix), *(in_volumes(client, prefix) if volumes else ())):
        report("warning", text)


def in_networks(client: docker.DockerClient, prefix: str) -> Iterator[str]:
    """Yield a line for each foreign container that is connected to a network of a stack."""
    own = _own(client, prefix)
    for network in client.networks.list(filters=_label(prefix)):
        network.reload()  # the list does not say which containers are connected
        for identifier, container in sorted((network.attrs.get("Containers") or {}).items()):
            if identifier not in own:
                fix = f"docker network disconnect --force {network.name} {container['Name']}"
                yield f"container {container['Name']} keeps network {network.name} from being removed. Fix: {fix}"


def in_volumes(client: docker.DockerClient, prefix: str) -> Iterator[str]:
    """Yield a line for each foreign container, running or not, that uses a volume of a stack."""
    own = _own(client, prefix)
    for volume in client.volumes.list(filters=_label(prefix)):
        for user in client.containers.list(all=True, filters={"volume": volume.name}, ignore_removed=True):
            if user.id not in own:
                fix = f"docker rm --force {user.name}"
                yield f"container {user.name} keeps volume {volume.name} from being removed. Fix: {fix}"


def _label(prefix: str) -> dict[str, str]:
    return {"label": f"{STACK_LABEL}={prefix}"}


def _own(client: docker.DockerClient, prefix: str) -> set[str | None]:
    return {each.id for each in client.containers.list(all=True, filters=_label(prefix), ignore_removed=True)}
