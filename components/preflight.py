"""Looks at the Docker engine before anything is registered, in a preview too: is it there, is the port free, does the
stack fit into its memory, can its images be had. Imports no Pulumi."""

import errno
import socket
from typing import TYPE_CHECKING

from components.database import FETCH_MEMORY_MB
from components.engine.client import UNREACHABLE, connect, engine_address
from components.engine.images import unavailable
from components.engine.reasons import SLOW
from components.load_balancer import MEMORY_MB as LOAD_BALANCER_MEMORY_MB
from components.naming import Naming
from components.settings import Settings

if TYPE_CHECKING:
    import docker

EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound
LEAST_CORE_MB, USEFUL_CORE_MB, STEP_MB = 512, 1536, 64


class PreflightError(Exception):
    """What keeps the stack from being deployed, and the command that mends it; one line."""


def check(settings: Settings, naming: Naming, core_image: str) -> None:
    """Raises PreflightError when the engine cannot run the stack as it is set; `core_image` is what `version` means."""
    address = engine_address(settings.docker_host)
    try:
        client = connect(settings.docker_host)
        info = client.api.info()
        running = client.api.containers()
    except UNREACHABLE as error:
        reason = str(error).rstrip(".").rsplit("Caused by", 1)[-1]
        raise PreflightError(
            f"the Docker engine at {address} does not answer: {reason}. Start it (sudo systemctl start docker), "
            "or name another: pulumi config set dockerHost ssh://user@host"
        ) from None
    _memory(settings, int(info.get("MemTotal") or 0) // 2**20)
    _port(settings, naming.of("lb"), running, local=address.startswith("unix://"))
    _images(settings, core_image, client)


def needed_mb(settings: Settings) -> int:
    """The memory limits of all containers that run at a time, in MB."""
    databases = (1 + settings.replicas) * settings.database_memory_mb
    return settings.cores * settings.core_memory_mb + databases + _small_mb(settings)


def _memory(settings: Settings, engine_mb: int) -> None:
    needed = needed_mb(settings)
    if not engine_mb or needed <= engine_mb:
        return
    raise PreflightError(
        f"the stack may use {needed} MB of memory ({settings.cores} x coreMemory {settings.core_memory_mb} + "
        f"{1 + settings.replicas} x databaseMemory {settings.database_memory_mb} + {_small_mb(settings)}), the Docker "
        f"engine has {engine_mb} MB. {_mend(settings, engine_mb)}"
    )


def _small_mb(settings: Settings) -> int:
    return settings.cache_memory_mb + LOAD_BALANCER_MEMORY_MB + FETCH_MEMORY_MB


def _mend(settings: Settings, engine_mb: int) -> str:
    """The first of these that fits: fewer cores, fewer replicas, smaller cores, all of that, another machine."""
    every = {"cores": 1, "replicas": 0}
    for changes in (
        *({"cores": cores} for cores in range(settings.cores - 1, 0, -1)),
        *({"replicas": replicas} for replicas in range(settings.replicas - 1, -1, -1)),
        {"core_memory_mb": _core_mb(settings, engine_mb, USEFUL_CORE_MB)},
        every | {"core_memory_mb": _core_mb(settings.model_copy(update=every), engine_mb, LEAST_CORE_MB)},
    ):
        if needed_mb(settings.model_copy(update=changes)) <= engine_mb:
            names = {name: Settings.model_fields[name].alias or name for name in changes}
            commands = (f"pulumi config set {names[name]} {value}" for name, value in changes.items())
            return f"Take less: {' && '.join(commands)}"
    return "Take a larger machine: pulumi config set dockerHost ssh://user@host"


def _core_mb(settings: Settings, engine_mb: int, least: int) -> int:
    """What is left for each core, MB, in steps people would choose, but never less than `least`."""
    rest = needed_mb(settings.model_copy(update={"core_memory_mb": 0}))
    return max(least, (engine_mb - rest) // settings.cores // STEP_MB * STEP_MB)


def _port(settings: Settings, own: str, running: "list[dict[str, object]]", *, local: bool) -> None:
    mend = f"Choose another: pulumi config set port {settings.port + 1}"
    for found in running:
        names = [str(name).lstrip("/") for name in _listed(found.get("Names"))]
        for opened in _listed(found.get("Ports")):
            if not isinstance(opened, dict) or opened.get("PublicPort") != settings.port:
                continue
            if own in names:
                return  # it is our own that listens there
            if opened.get("Type") == "tcp" and _overlap(str(opened.get("IP", "")), settings.bind):
                raise PreflightError(
                    f"port {settings.port} on {settings.bind} is taken by the container {names[0]}. {mend}"
                )
    if local:
        _try_to_listen(settings, mend)


def _try_to_listen(settings: Settings, mend: str) -> None:
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind, settings.port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PreflightError(
                    f"port {settings.port} on {settings.bind} is taken by another program (see: ss -ltnp). {mend}"
                ) from None
            if error.errno == errno.EADDRNOTAVAIL:
                raise PreflightError(
                    f"{settings.bind} is no address of this machine. Choose one that is, or all of them: "
                    "pulumi config set bind 0.0.0.0"
                ) from None
            # Ports below 1024 are the engine's to open, not ours.


def _images(settings: Settings, core_image: str, client: "docker.DockerClient") -> None:
    keys = {
        core_image: "image" if settings.image else "version",
        settings.database_image: "databaseImage",
        settings.cache_image: "cacheImage",
        settings.load_balancer_image: "loadBalancerImage",
    }
    # A registry that is slow to answer may still deliver.
    found = {image: reason for image, reason in unavailable(client, keys).items() if reason != SLOW}
    if found:
        listed = ", ".join(f"{image} ({reason})" for image, reason in found.items())
        others = ", ".join(f"pulumi config set {keys[image]} …" for image in found)
        raise PreflightError(
            f"not on the Docker host, and cannot be pulled: {listed}. Choose another: {others}; "
            f"or bring it there yourself: docker pull {next(iter(found))}"
        )


def _overlap(one: str, other: str) -> bool:
    return one == other or one in EVERYWHERE or other in EVERYWHERE


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []
