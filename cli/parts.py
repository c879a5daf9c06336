"""The parts of a stack, and the nodes they are on, as Docker Engine reports them."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from components.orchestrator.container_state import Evaluation
from components.orchestrator.watcher import WaitTarget

ORDER = ("lb", "core", "cache", "primary", "replica")
_NUMBER = re.compile(r"-(\d+)$")


@dataclass(frozen=True)
class Part:
    """A part of a stack, such as `core-1`, the name of its container or service, and Docker's word for its state.

    Of the logs of a swarm it is a task by its id, and `node` the one it is on.
    """

    part: str
    container: str
    state: str
    node: str = ""

    @property
    def group(self) -> str:
        """The part without its number: `core`, `replica`."""
        return _NUMBER.sub("", self.part)

    @property
    def number(self) -> int:
        """The number of a core or a replica; 0 for other parts."""
        match = _NUMBER.search(self.part)
        return int(match[1]) if match else 0

    @property
    def label(self) -> str:
        """What its lines in a log stand behind."""
        return f"{self.part} {self.node}" if self.node else self.part

    @property
    def wait_target(self) -> WaitTarget:
        """What the progress of a wait names it by."""
        return WaitTarget(self.container, self.part)

    def is_one_of(self, words: Sequence[str]) -> bool:
        """Return whether one of the words is its name or that of its group; no word is all parts."""
        return not words or self.part in words or self.group in words


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """A node of a swarm, in Docker's words, and the parts that run on it."""

    node: str
    state: str
    availability: str
    role: str
    parts: list[str]

    @property
    def healthy(self) -> bool:
        """False where the swarm has lost it; one that is drained is meant to be."""
        return self.state == "ready"

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self) | {"healthy": self.healthy}


class Inspected(ABC):
    """A part, or one of its tasks, as Docker Engine reports it."""

    part: Part
    node: str = ""
    """The host name of the node of a swarm it is on."""

    @property
    def host_name(self) -> str:
        """Its own name within its container, which DHIS2 knows a core by."""
        return self.part.part

    @property
    @abstractmethod
    def is_one_shot(self) -> bool:
        """True for one that runs once and exits."""

    @property
    @abstractmethod
    def evaluation(self) -> Evaluation:
        """Whether it is healthy (a one-shot: has completed), else why not."""

    @property
    @abstractmethod
    def state(self) -> str:
        """Docker's word for its state."""

    @property
    @abstractmethod
    def health_output(self) -> str:
        """What its healthcheck printed last, where that is known."""

    @property
    @abstractmethod
    def started_at(self) -> str | None:
        """Docker's timestamp of its start; None where it does not run."""

    @property
    @abstractmethod
    def restarts(self) -> int:
        """How often Docker has started it again after it exited by itself."""

    @property
    @abstractmethod
    def memory_limit_bytes(self) -> int | None:
        """Its memory limit; None without one."""

    @property
    @abstractmethod
    def image(self) -> str:
        """The image it was created from."""

    @property
    @abstractmethod
    def configuration(self) -> Mapping[str, Any]:
        """Docker's `Config`, of which `Labels` and `Env` have what the image adds, too."""

    @property
    @abstractmethod
    def volume_mounts(self) -> Sequence[tuple[str, str, bool]]:
        """Its volumes by name, each with its path and whether it can write to it."""

    @property
    def is_running(self) -> bool:
        """True where a command can be run in it."""
        return self.state == "running"

    @property
    def volumes(self) -> dict[str, str]:
        """The paths of its volumes by the volumes' names; the first path where one is mounted twice."""
        return {name: path for name, path, _ in reversed(self.volume_mounts)}

    def writes(self, volume: str) -> bool:
        """Return whether it can write to a volume."""
        return any(name == volume and writable for name, _, writable in self.volume_mounts)


def names_of(parts: Sequence[Part]) -> list[str]:
    """Return the names by which parts can be selected: each part, then the groups."""
    return list(dict.fromkeys([*(part.part for part in parts), *(part.group for part in parts)]))


def rank(part: Part) -> tuple[int, str, int]:
    """Return what parts are sorted by: the order of the data's way, then their numbers."""
    known = part.group in ORDER
    return (ORDER.index(part.group) if known else len(ORDER), "" if known else part.group, part.number)
