"""The volumes of a stack on the nodes of a swarm, as resources.

Docker Engine creates a volume on each node where a task mounts it. To the Pulumi engine it is one resource, whose
deletion removes it from all nodes. `pulumi destroy` does not run the program, so a dynamic provider does it: the SDK
finds its class by module and name, which are in the states of stacks. Neither can change.
"""

import sys
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pulumi
from docker.errors import APIError
from pulumi import dynamic

from components.orchestrator.client import UNREACHABLE, connect, unreachable
from components.orchestrator.swarm.sweep import Sweep, remove_volume

PACKAGE = "pulumi-python"  # of all dynamic resources
INPUTS = ("name", "docker_host", "image")


class VolumeRemainsError(Exception):
    """A volume was not removed; the message names the nodes, and what to do."""


class NodeVolumeProvider(dynamic.ResourceProvider):
    """Removes volumes. `docker_host` is as the setting, `image` one with curl."""

    serialize_as_secret_always = False  # it has no fields

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Create nothing: Docker Engine does, on the nodes where tasks mount the volume."""
        return dynamic.CreateResult(props["name"], dict(props))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Compare the inputs; another name is another volume."""
        changed = [key for key in INPUTS if olds.get(key) != news.get(key)]
        return dynamic.DiffResult(changes=bool(changed), replaces=[key for key in changed if key == "name"])

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Keep what the volume will be removed with."""
        return dynamic.UpdateResult(dict(news))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Remove the volume from all nodes that take tasks, and report the others."""
        sys.tracebacklimit = 0  # the SDK reports the whole traceback, and only the message is of use
        warning = removal(props["name"], props["image"], props.get("docker_host"))
        if warning:
            print(warning, file=sys.stderr, flush=True)  # which the Pulumi CLI shows


def removal(volume: str, image: str, docker_host: str | None) -> str:
    """Remove a volume from the nodes of a swarm, and return a warning of those where it may remain, if there are any.

    Raises VolumeRemainsError where a Docker Engine refuses, and where no manager answers.
    """
    try:
        with closing(connect(docker_host)) as client:
            swept = remove_volume(client, volume, image)
    except APIError as error:
        raise VolumeRemainsError(f"volume {volume} was not removed: {error.explanation}") from None
    except UNREACHABLE as error:
        raise VolumeRemainsError(f"volume {volume} was not removed: {unreachable(docker_host, error)}") from None
    warning = _warning(volume, swept)
    if not swept.refused:
        return warning
    refused = "; ".join(f"{hostname}: {reason}" for hostname, reason in swept.refused.items())
    raise VolumeRemainsError(
        f"volume {volume} was not removed from {refused}. Containers that use it: docker ps -a --filter volume={volume} (there). Remove them and try again.{warning and ' '}{warning}"
    ) from None


def _warning(volume: str, swept: Sweep) -> str:
    nodes = ", ".join(f"{hostname} ({reason})" for hostname, reason in swept.not_asked.items())
    return nodes and f"volume {volume} may remain on {nodes}. To remove it there: docker volume rm {volume}"


class NodeVolume(dynamic.Resource, module="dhis2-cluster", name="NodeVolume"):
    """A volume on whatever nodes tasks mount it; what depends on its `name` is deleted before it."""

    name: pulumi.Output[str]

    def __init__(
        self, part: str, name: str, docker_host: str | None, image: pulumi.Input[str], opts: pulumi.ResourceOptions
    ) -> None:
        """Register it."""
        super().__init__(NodeVolumeProvider(), part, {"name": name, "docker_host": docker_host, "image": image}, opts)


@dataclass
class NodeVolumes:
    """Registers the volumes of one stack, which are removed through the manager at `docker_host`.

    `image` is a reference, or once it is known the digest, of one with curl that the nodes have.
    """

    cluster: pulumi.Resource
    docker_host: str | None
    image: pulumi.Input[str]
    _registered: dict[str, pulumi.Output[str]] = field(default_factory=dict, init=False)

    @cached_property
    def _provider(self) -> pulumi.ProviderResource:
        # The default one would have the whole stack file, with its secrets, in the state.
        return pulumi.ProviderResource(PACKAGE, "node-volumes", {}, pulumi.ResourceOptions(parent=self.cluster))

    def register(self, part: str, name: str, parent: pulumi.Resource, *, kept: bool = False) -> pulumi.Output[str]:
        """Register a volume, once for all parts with one of this name, and return it; `kept` ones outlive the stack."""
        if name not in self._registered:
            options = pulumi.ResourceOptions(parent=parent, provider=self._provider, retain_on_delete=kept)
            self._registered[name] = NodeVolume(part, name, self.docker_host, self.image, options).name
        return self._registered[name]
