"""What preflight asks a Docker Engine before anything is registered."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from docker import DockerClient
from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from components.orchestrator.client import connect, engine_address
from components.orchestrator.error_text import short


@dataclass(frozen=True)
class PublishedTcpPort:
    """A port on an address of the Docker host that a running container publishes."""

    container: str
    address: str
    port: int


@dataclass(frozen=True)
class EngineInfo:
    """A Docker Engine's memory (0 when it does not say), the ports its containers publish, and a client to ask on."""

    address: str
    memory_mb: int
    published_ports: tuple[PublishedTcpPort, ...]
    client: DockerClient


def engine_info(docker_host: str | None) -> EngineInfo:
    """Return what the Docker Engine of a setting reports. Raises one of UNREACHABLE."""
    client = connect(docker_host)
    info = client.api.info()
    return EngineInfo(
        address=engine_address(docker_host),
        memory_mb=int(info.get("MemTotal") or 0) // 2**20,
        published_ports=tuple(port for container in client.api.containers() for port in _published(container)),
        client=client,
    )


def _published(container: dict[str, Any]) -> Iterable[PublishedTcpPort]:
    name = str((container.get("Names") or ["?"])[0]).lstrip("/")
    for port in container.get("Ports") or []:
        if port.get("Type") == "tcp" and port.get("PublicPort"):
            yield PublishedTcpPort(name, str(port.get("IP", "")), int(port["PublicPort"]))


def unavailable_images(client: DockerClient, images: Iterable[str]) -> dict[str, str]:
    """Return the images that are not on the Docker host and cannot be pulled, each with a short reason.

    Docker Engine is asked for each manifest (`/distribution/<name>/json`): it goes where a pull would go, with the
    Engine's own proxies, and downloads no layer.
    """

    def reason(image: str) -> str:
        try:
            with suppress(ImageNotFound):
                client.images.get(image)
                return ""
            client.api.inspect_distribution(image)
        except (DockerException, RequestException) as error:
            return short(getattr(error, "explanation", None) or error)
        return ""

    names = list(dict.fromkeys(images))
    with ThreadPoolExecutor(len(names) or 1) as pool:
        return {image: why for image, why in zip(names, pool.map(reason, names), strict=True) if why}
