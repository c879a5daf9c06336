"""One hardened container, described without saying which engine runs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

FILES = "/opt/dhis2-cluster"  # where scripts and configuration are put
SECRETS = f"{FILES}/secrets"  # one secret a file
# A container that has this file is deleted before what its content comes from is replaced. A label or a variable would
# not do that: the plugin keeps those as sets, and does not count an unknown member of a set as a reason to replace.
GENERATION = f"{FILES}/generation"


@dataclass(frozen=True, kw_only=True)
class File:
    """A file put into the container before it starts: owned by root, readable by all, never empty."""

    path: str
    content: pulumi.Input[str]
    executable: bool = False


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A volume, by the name its resource gives it, at a path."""

    volume: pulumi.Input[str]
    path: str
    read_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A folder in memory, empty at each start and writable for the container's user."""

    path: str
    size_mb: int
    mode: str = "1770"


@dataclass(frozen=True, kw_only=True)
class Health:
    """The container's own health check: a command without a shell around it, times in seconds.

    Failures within `start_period_seconds` of a start do not count.
    """

    command: tuple[str, ...]
    start_period_seconds: int
    interval_seconds: int = 5
    timeout_seconds: int = 10
    retries: int = 3


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A network, by the id its resource gives it, and what the container is called there."""

    network: pulumi.Input[str]
    aliases: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port of the container opened on an address of the Docker host."""

    internal: int
    external: int
    address: str


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What runs, with what, under which limits. What is not said here is the same for all: see engine/docker.py.

    `uid` is user and group. `grace_seconds` is the time between the stop signal and the end by force. `one_shot` runs
    once and may end; it has no health check.
    """

    name: str
    image: pulumi.Input[str]
    uid: int
    memory_mb: int
    networks: tuple[Attachment, ...]
    labels: Mapping[str, pulumi.Input[str]]
    health: Health | None = None
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    hostname: str = ""
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    files: tuple[File, ...] = ()
    mounts: tuple[Mount, ...] = ()
    scratch: tuple[Scratch, ...] = ()
    port: Port | None = None
    shared_memory_mb: int = 64
    stop_signal: str = "SIGTERM"
    grace_seconds: int = 10
    one_shot: bool = False
