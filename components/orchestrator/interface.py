"""Orchestrator: what the parts of a stack register their containers, volumes, networks and images with."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pulumi

from components.orchestrator.container_spec import ContainerSpec
from components.orchestrator.watcher import WaitTarget
from components.settings.file_store import NfsExport


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image on the Docker host: its resource and its id."""

    resource: pulumi.CustomResource
    id: pulumi.Output[str]


@dataclass(frozen=True)
class Endpoint:
    """Where a service listens: its host name within the stack's networks and its port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Service:
    """A running container of a component: its resource, what to wait for, and where it listens."""

    resource: pulumi.CustomResource
    wait_target: WaitTarget
    endpoint: Endpoint


class Orchestrator(ABC):
    """Registers the Docker objects of one stack. `parent` is the component they belong to."""

    most_variables: int | None = None
    """How many environment variables a container with an image's own entrypoint can have; None without a limit."""

    changes_in_place: bool = False
    """Whether a container of other properties is the same resource: what must not be changed then is deleted first."""

    @abstractmethod
    def image(self, name: str, reference: str, parent: pulumi.Resource) -> Image:
        """Register an image, which is pulled before anything that runs from the one before stops."""

    @abstractmethod
    def network(self, part: str, parent: pulumi.Resource, *, internal: bool) -> pulumi.Output[str]:
        """Register a network and return its id; an `internal` one leads nowhere else."""

    @abstractmethod
    def volume(self, part: str, parent: pulumi.Resource, *, kept: bool | None = None) -> pulumi.Output[str]:
        """Register a volume of a part and return its name; `kept` ones outlive the stack, by default with keepData."""

    @abstractmethod
    def nfs_volume(self, part: str, export: NfsExport, parent: pulumi.Resource) -> pulumi.Output[str]:
        """Register the volume through which containers mount an NFS export, and return its name."""

    @abstractmethod
    def dump_cache_volume(self, parent: pulumi.Resource) -> pulumi.Output[str]:
        """Register the dump cache that all stacks of a Docker Engine share and return its name; no stack removes it."""

    @abstractmethod
    def own_address(self, endpoint: Endpoint) -> str:
        """Return the host at which a command that a watcher executes in a service's container reaches this service."""

    @abstractmethod
    def container(self, name: str, spec: ContainerSpec, opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
        """Register the hardened container of a spec."""

    @abstractmethod
    def replicas(
        self,
        group: str,
        numbers: range,
        spec: Callable[[str, int], ContainerSpec],
        *,
        port: int,
        opts: pulumi.ResourceOptions,
        backends: Sequence[Service],
    ) -> list[Service]:
        """Register equal containers `<group>-<number>`, which can be added and removed while others serve.

        `spec` returns the spec of a name and a number. They listen on `port`, and do not serve without the `backends`.
        """

    def service(
        self,
        part: str,
        spec: ContainerSpec,
        display_name: str,
        endpoint: Endpoint,
        opts: pulumi.ResourceOptions,
        *,
        backends: Sequence[Service] = (),
    ) -> Service:
        """Register the container of a spec that runs until it is stopped; it does not serve without its `backends`."""
        target = WaitTarget(spec.name, display_name, depends_on=tuple(backend.wait_target for backend in backends))
        return Service(resource=self.container(part, spec, opts), wait_target=target, endpoint=endpoint)
