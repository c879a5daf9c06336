"""Remove what a killed run has created in Docker and Pulumi's state does not record.

A killed Pulumi engine has at least written down what it began to create ("pending creates"); when a provider plugin is
killed, not even that: the Pulumi engine takes the create for one that failed. Only what holds no data and is in use
nowhere is removed, since a stack of the same name in another backend has the same labels.
"""

from __future__ import annotations

from collections.abc import Container as Collection
from collections.abc import Iterator
from typing import Any

import docker
from docker.errors import DockerException, NotFound

from components.naming import STACK_LABEL
from tools.terminal import ToolError

NEVER = "0001-01-01T00:00:00Z"  # Docker's time of what has not happened


def remove_unrecorded(client: docker.DockerClient, prefix: str, recorded: Collection[str]) -> list[str]:
    """Remove the objects of a stack whose ids are not `recorded`, and return their names. Raises ToolError.

    Containers come first: a network or a volume that one uses cannot be removed.
    """
    removed = []
    for find in (_containers, _networks, _volumes):
        for unrecorded in find(client, {"label": f"{STACK_LABEL}={prefix}"}, recorded):
            options = {"force": True, "v": True} if find is _containers else {}  # anonymous volumes belong to it
            try:
                unrecorded.remove(**options)
            except NotFound:
                continue
            except DockerException as error:
                raise ToolError(f"{unrecorded.name}, created by a killed run, cannot be removed: {error}") from error
            removed.append(str(unrecorded.name))
    return removed


def _containers(client: docker.DockerClient, label: dict[str, str], recorded: Collection[str]) -> Iterator[Any]:
    """Yield containers that were never started, or are on networks of this state only."""
    for container in client.containers.list(all=True, filters=label, ignore_removed=True):
        networks = {network["NetworkID"] for network in container.attrs["NetworkSettings"]["Networks"].values()}
        own = bool(networks) and all(network in recorded for network in networks)
        if container.id not in recorded and (own or container.attrs["State"]["StartedAt"] == NEVER):
            yield container


def _networks(client: docker.DockerClient, label: dict[str, str], recorded: Collection[str]) -> Iterator[Any]:
    """Yield networks without a container, running or not."""
    for network in client.networks.list(filters=label):
        used = client.containers.list(all=True, filters={"network": network.id}, ignore_removed=True)
        if network.id not in recorded and not used:
            yield network


def _volumes(client: docker.DockerClient, label: dict[str, str], recorded: Collection[str]) -> Iterator[Any]:
    """Yield volumes that are empty: one with data is kept by keepData, and the next create adopts it."""
    unrecorded = [volume for volume in client.volumes.list(filters=label) if volume.name not in recorded]
    # Docker Engine measures all its volumes for this.
    measured: Any = client.df() if unrecorded else {}  # type: ignore[no-untyped-call]
    usage = {volume["Name"]: volume["UsageData"] for volume in measured.get("Volumes") or []}
    for volume in unrecorded:
        if usage.get(volume.name) == {"RefCount": 0, "Size": 0}:
            yield volume
