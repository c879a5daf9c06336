"""ContainerSpec: one hardened container, described without saying which orchestrator runs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from components.orchestrator.container_paths import SECRETS


@dataclass(frozen=True, kw_only=True)
class File:
    """A file that is there before the container starts: owned by root, readable by all in it, never empty.

    Whatever keeps it from others than the container does so for a `secret` one.
    """

    path: str
    content: pulumi.Input[str]
    executable: bool = False
    secret: bool = False


def secret_file(name: str, content: pulumi.Input[str]) -> File:
    """Return a secret as the file that scripts read it from."""
    return File(path=f"{SECRETS}/{name}", content=content, secret=True)


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A volume, by the name its resource has, mounted at a path.

    An empty volume gets what the image has at the path, with its owner and mode, unless `no_copy`.
    """

    volume: pulumi.Input[str]
    path: str
    read_only: bool = False
    no_copy: bool = False


@dataclass(frozen=True, kw_only=True)
class NetworkAttachment:
    """A network, by the id its resource has, and the container's aliases in it."""

    network: pulumi.Input[str]
    aliases: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PublishedPort:
    """A port of the container published on an address of the Docker host."""

    internal: int
    external: int
    address: str


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """What runs, with what, under which limits. What all containers share is in orchestrator/docker.py.

    `uid` is user and group. `healthcheck` is a command without a shell around it; its failures within
    `start_period_seconds` after a start do not count. `tmpfs` has the MB of each path, writable for the user; with
    `own_disk` it also writes to its root file system, which is lost with it. `shared_folder` is the path of `tmpfs`
    that a command needs too, where it cannot run in the container itself, but in one beside it with the same files and
    volumes: it has sockets to connect to, or what is known. `beside` is the text of a script that runs such a command.
    `stop_timeout_seconds` lies between the stop signal and SIGKILL. A `one_shot` container runs once and exits; it has
    no healthcheck.
    """

    name: str
    image: pulumi.Input[str]
    uid: int
    memory_mb: int
    networks: tuple[NetworkAttachment, ...]
    labels: Mapping[str, pulumi.Input[str]]
    entrypoint: tuple[str, ...] = ()
    healthcheck: tuple[str, ...] = ()
    start_period_seconds: int = 0
    hostname: str = ""
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    files: tuple[File, ...] = ()
    mounts: tuple[Mount, ...] = ()
    tmpfs: Mapping[str, int] = field(default_factory=dict)
    own_disk: bool = False
    shared_folder: str = ""
    beside: str = ""
    ports: tuple[PublishedPort, ...] = ()
    shared_memory_mb: int = 64
    stop_signal: str = "SIGTERM"
    stop_timeout_seconds: int = 10
    one_shot: bool = False
