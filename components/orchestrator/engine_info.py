"""What preflight asks a Docker Engine before anything is registered."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import islice
from typing import Any

from docker import DockerClient
from docker.errors import DockerException, ImageNotFound, NotFound
from requests.exceptions import RequestException

from components.orchestrator.client import connect, engine_address
from components.orchestrator.error_text import TIMED_OUT, short
from components.orchestrator.registry import registry_architectures
from components.orchestrator.swarm.nodes import SwarmInfo

# Where a daemon without default-address-pools takes the subnets of new networks from (moby's libnetwork/ipamutils).
DEFAULT_POOLS = {f"172.{second}.0.0/16": 16 for second in range(17, 32)} | {"192.168.0.0/16": 20}
MAKE_ROOM = "Make room: docker system df, docker system prune; or use another machine: pulumi config set dockerHost ssh://user@host"
MTU_OPTION, ETHERNET_MTU = "com.docker.network.driver.mtu", 1500


@dataclass(frozen=True)
class PublishedTcpPort:
    """A port on an address of the Docker host that a running container publishes."""

    container: str
    address: str
    port: int


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """A Docker Engine as it describes itself (unknown is 0 or empty), and why it cannot run the stack (`refusal`)."""

    refusal: str
    warnings: tuple[str, ...]
    architecture: str  # empty, too, where others are emulated
    memory_mb: int
    free_bytes: int | None  # on the disk of its data; None where that is another machine's
    published_ports: tuple[PublishedTcpPort, ...]
    mtu: int
    client: DockerClient
    swarm: SwarmInfo | None = None  # where it is asked for


def engine_info(docker_host: str | None, names: set[str]) -> EngineInfo:
    """Return what the Docker Engine of a setting reports; `names` are the networks. Raises one of UNREACHABLE."""
    client = connect(docker_host)
    info = client.api.version() | client.api.info()
    networks = {str(network["Name"]): network for network in client.api.networks()}
    rootless = "Docker Engine runs rootless: DHIS2 and the login rate limit see all users under one address. With many users run Docker as root."
    return EngineInfo(
        refusal=next(_refusals(engine_address(docker_host), info, networks, names), ""),
        warnings=(rootless,) if "name=rootless" in (info.get("SecurityOptions") or []) else (),
        architecture="" if "Docker Desktop" in str(info.get("OperatingSystem")) else str(info.get("Arch") or ""),
        memory_mb=int(info.get("MemTotal") or 0) // 2**20,
        free_bytes=_free_bytes(engine_address(docker_host), info),
        published_ports=tuple(port for container in client.api.containers() for port in _published(container)),
        mtu=int((networks.get("bridge", {}).get("Options") or {}).get(MTU_OPTION) or ETHERNET_MTU),
        client=client,
    )


def _free_bytes(address: str, info: Mapping[str, Any]) -> int | None:
    folder = str(info.get("DockerRootDir") or "")
    if not address.startswith("unix:") or not folder or "Docker Desktop" in str(info.get("OperatingSystem")):
        return None
    with suppress(OSError):  # where this user may not see it, the containers check
        disk = os.statvfs(folder)
        return disk.f_bavail * disk.f_frsize
    return None


def volume_exists(client: DockerClient, name: str) -> bool:
    """Tell whether a volume exists. Raises one of UNREACHABLE."""
    with suppress(NotFound):
        client.api.inspect_volume(name)
        return True
    return False


def volume_bytes(client: DockerClient, name: str) -> int:
    """Return what a volume takes on the disk; 0 where Docker Engine does not report it in time."""
    volumes: list[dict[str, Any]] = []
    with suppress(DockerException, RequestException):  # it adds up the files of all volumes
        volumes = client.api.df().get("Volumes") or []
    sizes = {volume.get("Name"): (volume.get("UsageData") or {}).get("Size") for volume in volumes}
    return max(0, int(sizes.get(name) or 0))


def _refusals(address: str, info: Mapping[str, Any], networks: Mapping[str, Any], names: set[str]) -> Iterator[str]:
    if "Podman" in str(info.get("Components")):
        yield f"{address} is Podman, which has no DNS server at 127.0.0.11, where NGINX resolves the cores. Use Docker Engine: pulumi config set dockerHost unix:///var/run/docker.sock"
    if str(info.get("DockerRootDir")).startswith("/var/snap/"):
        yield "Docker is installed as a snap, where no-new-privileges keeps containers from starting (exec: operation not permitted). Replace it: sudo snap remove docker && sudo apt-get install -y docker.io"
    number = re.match(r"(\d+)\.(\d+)\.?(\d*)", str(info.get("ServerVersion")))
    if number and tuple(int(part or 0) for part in number.groups()) < (20, 10, 10):
        yield f"Docker Engine {number[0]} is older than 20.10.10: its seccomp profile refuses clone3, and programs in present images cannot start threads. Upgrade it: sudo apt-get install --only-upgrade docker.io"
    pools = {pool["Base"]: pool["Size"] for pool in info.get("DefaultAddressPools") or []} or DEFAULT_POOLS
    missing = len(names - networks.keys())
    free = len([*islice(_free_subnets(pools, networks.values()), missing)])
    if free < missing:
        yield f"the address pools of Docker Engine have subnets for {free} more networks, and the stack needs {missing}. Remove unused networks: docker network prune"


def _free_subnets(pools: Mapping[str, int], networks: Iterable[Mapping[str, Any]]) -> Iterator[IPv4Network]:
    """Return the subnets that new networks can have; routes of the host are not known here."""
    configs = (config for network in networks for config in (network.get("IPAM") or {}).get("Config") or [])
    used = [IPv4Network(config["Subnet"], strict=False) for config in configs if "." in config.get("Subnet", "")]
    bases = ((IPv4Network(base, strict=False), size) for base, size in pools.items() if "." in base)
    subnets = (subnet for base, size in bases for subnet in base.subnets(new_prefix=size))
    return (subnet for subnet in subnets if not any(map(subnet.overlaps, used)))


def _published(container: dict[str, Any]) -> Iterable[PublishedTcpPort]:
    name = str((container.get("Names") or ["?"])[0]).lstrip("/")
    for port in container.get("Ports") or []:
        if port.get("Type") == "tcp" and port.get("PublicPort"):
            yield PublishedTcpPort(name, str(port.get("IP", "")), int(port["PublicPort"]))


def tag_on_host(client: DockerClient, image: str) -> str:
    """Return a reference with tag and digest without its digest, where the Docker host has that tag; else nothing."""
    tagged, _, digest = image.partition("@")
    with suppress(DockerException, RequestException):
        if digest and ":" in tagged.rpartition("/")[2]:
            client.images.get(tagged)
            return tagged
    return ""


def image_report(client: DockerClient, image: str) -> dict[str, Any]:
    """Return what a Docker Engine reports of an image; nothing where it does not have it."""
    with suppress(NotFound):
        report: dict[str, Any] = client.api.inspect_image(image)  # type: ignore[no-untyped-call]
        return report
    return {}


def unavailable_images(client: DockerClient, images: Iterable[str], architecture: str = "") -> dict[str, str]:
    """Return the images that are not on the Docker host and cannot be pulled, each with a short reason.

    With an `architecture`, such as amd64, images without it count too.
    """

    def reason(image: str) -> str:
        try:
            with suppress(ImageNotFound):
                client.images.get(image)
                return ""
            built_for = registry_architectures(client, image)
        except (DockerException, RequestException) as error:
            why = short(getattr(error, "explanation", None) or error)
            tagged = tag_on_host(client, image)
            return f"{why}; the host has {tagged} without this digest" if tagged and why != TIMED_OUT else why
        if architecture and built_for and architecture not in built_for:
            return f"built for {', '.join(built_for)} only, and this Docker Engine runs on {architecture}"
        return ""

    names = list(dict.fromkeys(images))
    with ThreadPoolExecutor(len(names) or 1) as pool:
        return {image: why for image, why in zip(names, pool.map(reason, names), strict=True) if why}
