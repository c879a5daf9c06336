"""The containers of a stack, as Docker Engine reports them: the only module of `dhis2-cluster` with the docker SDK."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from docker import DockerClient
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from cli.errors import CommandError
from cli.target import Target
from components.naming import STACK_LABEL
from components.orchestrator.client import UNREACHABLE, connect, engine_address, unreachable
from components.orchestrator.commands import NOT_RUNNING, execute, read_file, read_log
from components.orchestrator.container_state import Condition, Evaluation, evaluate, healthcheck_output
from components.orchestrator.containers import inspect, restart
from components.orchestrator.watcher import WaitTarget

REPORTED = (DockerException, RequestException)  # what Docker Engine can report while a verb works
HEALTH_SECONDS = 15
ORDER = ("lb", "core", "cache", "primary", "replica")
_PARALLEL = 8
Item = TypeVar("Item")
Result = TypeVar("Result")
_NUMBER = re.compile(r"-(\d+)$")


@dataclass(frozen=True)
class Part:
    """A part of a stack, such as `core-1`, the name of its container, and Docker's word for its state."""

    part: str
    container: str
    state: str

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
    def wait_target(self) -> WaitTarget:
        """What the progress of a wait names it by."""
        return WaitTarget(self.container, self.part)


@dataclass(frozen=True)
class Inspected:
    """A part with what Docker Engine reports of its container."""

    part: Part
    report: dict[str, Any]

    @property
    def is_one_shot(self) -> bool:
        """True for a container that runs once and exits."""
        policy = (self.report.get("HostConfig") or {}).get("RestartPolicy") or {}
        return policy.get("Name") in ("", "no", None)

    @property
    def evaluation(self) -> Evaluation:
        """Whether it is healthy (a one-shot: has completed), else why not."""
        condition = Condition.SERVICE_COMPLETED_SUCCESSFULLY if self.is_one_shot else Condition.SERVICE_HEALTHY
        return evaluate(self.report, condition, self.restarts)

    @property
    def health_output(self) -> str:
        """What its healthcheck printed last."""
        return healthcheck_output(self.report)

    @property
    def is_running(self) -> bool:
        """True where a command can be run in it."""
        return (self.report.get("State") or {}).get("Status") == "running"

    @property
    def restarts(self) -> int:
        """How often Docker has restarted it after it exited by itself."""
        return int(self.report.get("RestartCount") or 0)

    @property
    def volumes(self) -> dict[str, str]:
        """The paths of its volumes by the volumes' names; the first path where one is mounted twice."""
        return {str(mount["Name"]): str(mount["Destination"]) for mount in reversed(self._volume_mounts)}

    def writes(self, volume: str) -> bool:
        """Return whether it can write to a volume."""
        return any(mount["Name"] == volume and mount.get("RW") for mount in self._volume_mounts)

    @property
    def _volume_mounts(self) -> list[dict[str, Any]]:
        return [mount for mount in self.report.get("Mounts") or [] if mount.get("Type") == "volume"]


class StackContainers:
    """The containers of one stack. Raises CommandError where Docker Engine cannot be reached."""

    def __init__(self, target: Target) -> None:
        self.target = target

    @cached_property
    def client(self) -> DockerClient:
        """A client of the stack's Docker Engine, which has answered."""
        host = self.target.docker_host
        try:
            client = connect(host)
            client.ping()  # type: ignore[no-untyped-call]
        except UNREACHABLE as error:
            raise CommandError(unreachable(host, error)) from error
        return client

    def parts(self) -> list[Part]:
        """Return the parts in the order of the data's way; CommandError when the stack has none."""
        filters = {"label": [f"{STACK_LABEL}={self.target.prefix}"]}
        listed = self.client.api.containers(all=True, filters=filters)
        names = {str(container["Names"][0]).lstrip("/"): str(container["State"]) for container in listed}
        parts = [Part(name.removeprefix(f"{self.target.prefix}-"), name, state) for name, state in names.items()]
        if not parts:
            raise self.target.not_deployed(engine_address(self.target.docker_host))
        return sorted(parts, key=_rank)

    def select(self, words: Sequence[str]) -> list[Part]:
        """Return the parts with these names; `core` and `replica` are all of them, and no word is all parts.

        Raises CommandError with the list of parts when there is none of a name.
        """
        parts = self.parts()
        for word in words:
            if not any(word in (part.part, part.group) for part in parts):
                raise CommandError(f"stack {self.target.stack} has no part {word}. Parts: {', '.join(names_of(parts))}")
        return [part for part in parts if not words or part.part in words or part.group in words]

    def running(self, word: str) -> Part:
        """Return the part of a name, or raise CommandError when there is none or it does not run."""
        part = self.select([word])[0]
        if part.state != "running":
            raise CommandError(
                f"{part.part} is not running ({part.state}). Start it: dhis2-cluster start -s {self.target.stack}"
            )
        return part

    def inspected(self) -> list[Inspected]:
        """Return the parts with what Docker Engine reports of each."""
        reports = self.map(self._inspect, self.parts())
        return [Inspected(part, report) for part, report in reports if report]

    def _inspect(self, part: Part) -> dict[str, Any] | None:
        report = inspect(self.client, part.container)
        health = ((report or {}).get("State") or {}).get("Health") or {}
        # Docker runs a healthcheck every few seconds only: after `pulumi up` or `start` it is behind.
        if report and health.get("Status") == "starting":
            command = ["timeout", str(HEALTH_SECONDS), *report["Config"]["Healthcheck"]["Test"][1:]]
            if self.execute(part, command)[0] == 0:
                health["Status"] = "healthy"
        return report

    def map(self, action: Callable[[Item], Result], items: Sequence[Item]) -> list[tuple[Item, Result]]:
        """Return the items with the results of an action, run for several at the same time."""
        with ThreadPoolExecutor(_PARALLEL) as pool:
            return list(zip(items, pool.map(action, items), strict=True))

    def execute(self, part: Part, command: Sequence[str]) -> tuple[int, str]:
        """Return exit code and output of a command in a container; NOT_RUNNING and the reason where it cannot run."""
        try:
            return execute(self.client, part.container, command)
        except APIError as error:
            return NOT_RUNNING, str(error.explanation)

    def read_file(self, part: Part, path: str) -> str | None:
        """Return the text of a file in a container, running or not; None where there is none."""
        return read_file(self.client, part.container, path)

    def volume_at(self, part: Part, path: str) -> str:
        """Return the name of the volume that a container has at a path; empty where there is none."""
        mounts = (inspect(self.client, part.container) or {}).get("Mounts") or []
        return next((str(mount["Name"]) for mount in mounts if mount.get("Destination") == path), "")

    def create_volume(self, name: str, options: Mapping[str, str], labels: Mapping[str, str]) -> None:
        """Create a volume of Docker's local driver, unless it exists."""
        self.client.api.create_volume(name, driver_opts=dict(options), labels=dict(labels))

    def environment(self, part: Part) -> dict[str, str]:
        """Return the environment variables a container was created with."""
        config = (inspect(self.client, part.container) or {}).get("Config") or {}
        return dict(entry.split("=", 1) for entry in config.get("Env") or [] if "=" in entry)

    def memory_bytes(self, part: Part) -> int | None:
        """Return the memory a container uses, without what the kernel drops first, as `docker stats` does."""
        with suppress(APIError):
            stats = self.client.api.stats(part.container, stream=False, one_shot=True)
            memory = stats.get("memory_stats") or {}
            details = memory.get("stats") or {}
            idle = details.get("inactive_file", details.get("total_inactive_file", 0))  # cgroup v2, v1
            return max(0, int(memory["usage"]) - int(idle)) if "usage" in memory else None
        return None

    def image_tag(self, identifier: str) -> str:
        """Return the name of an image, or the beginning of its id where it has none any more."""
        with suppress(NotFound):
            image: dict[str, Any] = self.client.api.inspect_image(identifier)  # type: ignore[no-untyped-call]
            tags = image.get("RepoTags") or []
            if tags:
                return str(tags[0])
        return identifier.removeprefix("sha256:")[:12]

    def log(self, part: Part, *, since_seconds: float, tail: int | None, follow: bool) -> Iterator[tuple[str, str]]:
        """Yield the log of a container as pairs of Docker's timestamp, which sorts as text, and line.

        With `follow` it ends when the container exits.
        """
        chunks = read_log(
            self.client,
            part.container,
            since_seconds=since_seconds,
            tail="all" if tail is None else str(tail),
            follow=follow,
        )
        rest = b""
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            yield from map(_stamped, lines)
        if rest:
            yield _stamped(rest)

    def start(self, part: Part) -> None:
        """Start a container; nothing happens to one that runs."""
        self.client.api.start(part.container)

    def stop(self, part: Part) -> None:
        """Stop a container within the stop timeout it was created with."""
        config = (inspect(self.client, part.container) or {}).get("Config") or {}
        self.client.api.stop(part.container, timeout=config.get("StopTimeout"))

    def restart(self, part: Part) -> None:
        """Restart a container within the stop timeout it was created with."""
        restart(self.client, part.container)


def names_of(parts: Sequence[Part]) -> list[str]:
    """Return the names by which parts can be selected: each part, then the groups."""
    return list(dict.fromkeys([*(part.part for part in parts), *(part.group for part in parts)]))


def _rank(part: Part) -> tuple[int, str, int]:
    known = part.group in ORDER
    return (ORDER.index(part.group) if known else len(ORDER), "" if known else part.group, part.number)


def _stamped(line: bytes) -> tuple[str, str]:
    timestamp, _, text = line.decode(errors="replace").rstrip("\r").partition(" ")
    return timestamp, text
