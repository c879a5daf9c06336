"""Containers of tests and measurements: as hardened as the program's, and removed at the end."""

import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import docker
from docker.errors import NotFound
from docker.models.containers import Container
from docker.models.networks import Network

from components.orchestrator.hardening import DROPPED_CAPABILITIES, SECURITY_OPTIONS
from tests.support.archive import packed

DOCKER_SECONDS = 600


class MissingImage(Exception):
    """An image that Docker Engine does not have, and the command that builds it."""


def gateway_of(network: Network) -> str:
    """Return the address of this machine on a network that was created here."""
    network.reload()  # Docker Engine's answer to the creation has none
    return str(network.attrs["IPAM"]["Config"][0]["Gateway"])


class Containers(AbstractContextManager["Containers"]):
    """Containers, volumes and networks whose names begin with `prefix`.

    All of them are removed when the context ends, also after a failure and when one of them cannot be removed.
    """

    def __init__(self, client: docker.DockerClient | None = None, purpose: str = "test") -> None:
        """Take a Docker client, by default that of the environment; `purpose` becomes part of the prefix."""
        self.client = client or docker.from_env(timeout=DOCKER_SECONDS)
        self.prefix = f"dhis2-cluster-{purpose}-{uuid.uuid4().hex[:8]}"
        self._count = 0
        self._removals = ExitStack()

    @cached_property
    def network(self) -> Network:
        """The network containers are on if none is named."""
        return self.add_network()

    def add_network(self, *, internal: bool = False) -> Network:
        """Create a network; `internal`: without a way out of it."""
        network = self.client.networks.create(self._name("network"), internal=internal)
        self._removals.callback(network.remove)
        return network

    def volume(self, name: str = "volume", **driver_options: str) -> str:
        """Create a volume with options of Docker's local driver and return its full name."""
        volume = self.client.volumes.create(self._name(name), driver_opts=driver_options or None)
        self._removals.callback(volume.remove, force=True)
        return str(volume.name)

    def create(
        self,
        image: str,
        *command: str,
        files: Mapping[str, str | bytes] | None = None,
        alias: str = "",
        network: Network | None = None,
        **options: Any,  # noqa: ANN401 - those of docker's create
    ) -> Container:
        """Create a container with files (content by path), known as `alias` on one network. Raises MissingImage."""
        require_image(self.client, image)
        network = network or self.network
        endpoint = self.client.api.create_endpoint_config(aliases=[alias] if alias else None)
        if "mem_limit" in options:
            options["memswap_limit"] = options["mem_limit"]
        hardened = {"cap_drop": list(DROPPED_CAPABILITIES), "security_opt": list(SECURITY_OPTIONS), "init": True}
        container: Container = self.client.containers.create(
            image,
            list(command) or None,
            name=self._name(alias or "container"),
            network=network.name,
            networking_config={str(network.name): endpoint},
            **{**hardened, **options},
        )
        self._removals.callback(self.remove, container)
        if files:
            container.put_archive("/", packed(files))
        return container

    def start(
        self,
        image: str,
        *command: str,
        files: Mapping[str, str | bytes] | None = None,
        alias: str = "",
        network: Network | None = None,
        **options: Any,  # noqa: ANN401 - those of docker's create
    ) -> Container:
        """Create a container and start it."""
        container = self.create(image, *command, files=files, alias=alias, network=network, **options)
        container.start()
        container.reload()
        return container

    def address(self, container: Container) -> str:
        """Return the IP address of a running container on the network, where this machine reaches it."""
        return address(container, self.network)

    def remove(self, container: Container) -> None:
        """Remove a container and its anonymous volumes now."""
        with suppress(NotFound):
            container.remove(force=True, v=True)

    def close(self) -> None:
        """Remove everything: containers before the volumes and networks they use."""
        self._removals.close()
        self.__dict__.pop("network", None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove everything."""
        self.close()

    def __enter__(self) -> Self:
        """Nothing is created yet."""
        return self

    def _name(self, name: str) -> str:
        self._count += 1
        return f"{self.prefix}-{name}-{self._count}"


def address(container: Container, network: Network) -> str:
    """Return the IP address of a running container on a network, where this machine reaches it."""
    container.reload()
    return str(container.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"])


def require_image(client: docker.DockerClient, image: str) -> None:
    """Raise MissingImage when Docker Engine does not have an image."""
    if not client.images.list(image):
        raise MissingImage(f"Docker Engine has no image {image}; build it: python -m offline.images {image}")
