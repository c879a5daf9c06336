"""Waits for containers to become ready, and says what they are doing meanwhile. Imports no Pulumi."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, NotFound

from components.engine.client import UNREACHABLE, connect, engine_address
from components.engine.verdict import TAIL_LINES, Goal, judge, telling_lines

if TYPE_CHECKING:
    import docker

POLL_SECONDS = 0.5
LOOK_SECONDS = 1.0
SAY_EVERY_SECONDS = 5.0
LOG_LINES = 400
LONGEST_LINE = 200

# Not the event loop's own pool: the SDK's registrations sit in that one until the engine has answered, and the engine
# may be waiting for us.
_POOL = ThreadPoolExecutor(max_workers=16, thread_name_prefix="watch")


class NotReady(Exception):
    """A container that did not become ready: which, why, its last log lines, and what to do."""


@dataclass(frozen=True)
class Awaited:
    """A container by its Docker name, what people call it, and what it is waited for."""

    container: str
    what: str
    goal: Goal = Goal.HEALTHY


@dataclass
class Watcher:
    """Looks at the containers of one engine. `say` takes a line for the person who waits."""

    docker_host: str | None
    timeout_seconds: int
    say: Callable[[str], None]
    _client: "docker.DockerClient | None" = field(default=None, init=False)
    _said: dict[str, tuple[str, float]] = field(default_factory=dict, init=False)
    _looked: dict[str, tuple[bool, float]] = field(default_factory=dict, init=False)

    async def until_ready(self, awaited: Sequence[Awaited]) -> None:
        """Return when all are ready. Raises NotReady at the first that has failed, or after the time-out."""
        await asyncio.gather(*(self._one(each) for each in awaited))

    async def until_succeeds(self, awaited: Awaited, command: Sequence[str], otherwise: str) -> None:
        """Return when a command succeeds in a container. Raises NotReady, saying `otherwise`, after the time-out."""
        until = time.monotonic() + self.timeout_seconds
        while (await self.run(lambda client: execute(client, awaited.container, command)))[0]:
            if time.monotonic() > until:
                raise NotReady(await self._failure(awaited, f"is up, but {otherwise}"))
            await asyncio.sleep(POLL_SECONDS)

    async def run(self, action: Callable[["docker.DockerClient"], Any]) -> Any:  # noqa: ANN401 - the action's result
        """The result of an action with the engine's client, off the event loop. Raises NotReady without an engine."""

        def act() -> Any:  # noqa: ANN401
            if self._client is None:
                self._client = connect(self.docker_host)
            return action(self._client)

        try:
            return await asyncio.get_running_loop().run_in_executor(_POOL, act)
        except UNREACHABLE as error:
            raise NotReady(f"the Docker engine at {engine_address(self.docker_host)} says: {error}") from error

    async def _one(self, awaited: Awaited) -> None:
        restarts: int | None = None
        until = time.monotonic() + self.timeout_seconds
        self._said.setdefault(awaited.container, ("", time.monotonic()))
        while True:
            inspected = await self.run(lambda client: inspect(client, awaited.container))
            if inspected is None and awaited.goal is Goal.FINISHED:
                return  # somebody has tidied up ended containers
            if inspected is None:
                raise NotReady(f"{awaited.what} ({awaited.container}) is gone. Make it anew: pulumi up --refresh")
            if restarts is None:
                restarts = int(inspected.get("RestartCount") or 0)
            verdict = judge(inspected, awaited.goal, restarts)
            if verdict.ready:
                return
            if verdict.reason:
                raise NotReady(await self._failure(awaited, verdict.reason))
            if verdict.status == "starting" and await self._passes(awaited.container, inspected):
                return
            if time.monotonic() > until:
                reason = f"was not ready after {self.timeout_seconds} s ({verdict.status}; readyTimeout sets the limit)"
                raise NotReady(await self._failure(awaited, reason))
            await self._tell(awaited)
            await asyncio.sleep(POLL_SECONDS)

    async def _passes(self, container: str, inspected: dict[str, Any]) -> bool:
        """Whether a container's own health check passes. The engine runs it only every few seconds."""
        passed, at = self._looked.get(container, (False, 0.0))
        if time.monotonic() - at >= LOOK_SECONDS:
            command = inspected["Config"]["Healthcheck"]["Test"][1:]
            self._looked[container] = (False, time.monotonic())
            passed = await self.run(lambda client: look(client, container, command))
            self._looked[container] = (passed, time.monotonic())
        return passed

    async def _tell(self, awaited: Awaited) -> None:
        """Say what a container is doing; several may wait for the same one, and it is said once."""
        said, at = self._said[awaited.container]
        if time.monotonic() - at < SAY_EVERY_SECONDS:
            return
        self._said[awaited.container] = (said, time.monotonic())
        line = await self._last_line(awaited)
        if line != said:
            self.say(f"{awaited.what}: {line}")
            self._said[awaited.container] = (line, time.monotonic())

    async def _last_line(self, awaited: Awaited) -> str:
        lines = await self._log(awaited, 3)
        return lines[-1][:LONGEST_LINE] if lines else "starting"

    async def _failure(self, awaited: Awaited, reason: str) -> str:
        lines = telling_lines(await self._log(awaited, LOG_LINES), TAIL_LINES)
        shown = "\n".join(f"  | {line[:LONGEST_LINE]}" for line in lines)
        return f"{awaited.what} {reason}\n{shown}\n  All of it: docker logs {awaited.container}"

    async def _log(self, awaited: Awaited, count: int) -> list[str]:
        text = await self.run(lambda client: client.api.logs(awaited.container, tail=count))
        return [line for line in bytes(text).decode(errors="replace").splitlines() if line.strip()]


def inspect(client: "docker.DockerClient", name: str) -> dict[str, Any] | None:
    """What the engine says of a container; None when there is none of that name."""
    try:
        found: dict[str, Any] = client.api.inspect_container(name)
    except NotFound:
        return None
    return found


def started_at(client: "docker.DockerClient", name: str) -> float:
    """When a running container was started, in epoch seconds; infinity when it does not run."""
    state = (inspect(client, name) or {}).get("State") or {}
    if state.get("Status") != "running":
        return math.inf
    return moment(str(state["StartedAt"]))


def moment(told: str) -> float:
    """A time as the engine tells it, in epoch seconds. It gives up to nanoseconds, Python reads microseconds."""
    day, _, fraction = told.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{day}+00:00").timestamp() + float(f"0.{fraction or 0}")


def look(client: "docker.DockerClient", name: str, command: Sequence[str]) -> bool:
    """Whether a health check passes, asked beside the engine; checks that count their failures do not count this."""
    try:
        return execute(client, name, command, LOOK="1")[0] == 0
    except APIError:
        return False  # it has just ended, and the next inspection says why


def execute(client: "docker.DockerClient", name: str, command: Sequence[str], **environment: str) -> tuple[int, str]:
    """Exit code and output of a command in a container."""
    started = client.api.exec_create(name, list(command), environment=environment)
    output = bytes(client.api.exec_start(started["Id"])).decode(errors="replace")
    ended: dict[str, Any] = client.api.exec_inspect(started["Id"])  # type: ignore[no-untyped-call]
    return int(ended["ExitCode"] or 0), output
