"""EngineWatcher: wait for what a Docker Engine runs, and report what it does meanwhile."""

import asyncio
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from docker import DockerClient
from requests.exceptions import ConnectionError as RequestsConnectionError

from components.orchestrator.client import UNREACHABLE, connect, engine_address
from components.orchestrator.container_state import Evaluation, failure_lines
from components.orchestrator.watcher import NotReady, Result, WaitTarget, Watcher, in_thread

POLL_SECONDS = 0.5
REPORT_SECONDS = 5.0
LOG_LINES = 400
LONGEST_LINE = 200


@dataclass
class EngineWatcher(Watcher):
    """What is the same for containers and for services of a swarm."""

    docker_host: str | None
    timeout_seconds: int
    report: Callable[[str], None]
    _client: DockerClient | None = field(default=None, init=False)
    _reported: dict[str, tuple[str, float]] = field(default_factory=dict, init=False)

    @abstractmethod
    async def look(self, target: WaitTarget, seen: dict[str, Any]) -> Evaluation:
        """Evaluate a target once. `seen` is what the wait remembers from one look to the next, empty at the first."""

    @abstractmethod
    async def cause(self, target: WaitTarget) -> str:
        """Return why a target is not ready at this moment; empty while it is."""

    @abstractmethod
    async def log(self, target: WaitTarget, count: int) -> list[str]:
        """Return the last lines of a target's log without blank ones."""

    async def until_ready(self, targets: Sequence[WaitTarget]) -> None:
        """Return when all are ready. Raises NotReady at the first that has failed, or after the timeout."""
        await asyncio.gather(*(self._until_ready(target) for target in targets))

    async def until_succeeds(self, target: WaitTarget, command: Sequence[str], failure: str) -> None:
        """Return when a command succeeds in a target. Raises NotReady with `failure` after the timeout."""
        deadline = time.monotonic() + self.timeout_seconds
        while (await self.execute(target.container, command))[0]:
            if time.monotonic() > deadline:
                raise NotReady(await self._failure(target, failure))
            await asyncio.sleep(POLL_SECONDS)

    async def run(self, action: Callable[[DockerClient], Result]) -> Result:
        """Return an action's result with a Docker client, off the event loop. Raises NotReady if unreachable."""

        def act() -> Result:
            if self._client is None:
                self._client = connect(self.docker_host)
            try:
                return action(self._client)
            except RequestsConnectionError:
                if not engine_address(self.docker_host).startswith("ssh:"):
                    raise
            # The shared connection has ended, or had no session left and sshd dropped one beside it (MaxStartups).
            self._client = connect(self.docker_host)
            return action(self._client)

        try:
            return await in_thread(act)
        except UNREACHABLE as error:
            raise NotReady(f"Docker Engine at {engine_address(self.docker_host)}: {error}") from error

    async def _until_ready(self, target: WaitTarget) -> None:
        """Return when a target is ready; one that is not yet fails as soon as one it depends on has failed."""
        seen: dict[str, Any] = {}
        deadline = time.monotonic() + self.timeout_seconds
        self._reported.setdefault(target.container, ("", time.monotonic()))
        dependencies: asyncio.Future[None] | None = None
        try:
            while True:
                evaluation = await self.look(target, seen)
                if evaluation.ready:
                    return
                if evaluation.reason:
                    raise NotReady(await self._failure(target, evaluation.reason))
                if time.monotonic() > deadline:
                    reason = f"was not ready after {self.timeout_seconds} s ({evaluation.status}); to wait longer: pulumi config set readyTimeout {2 * self.timeout_seconds} && pulumi up"
                    raise NotReady(await self._failure(target, reason))
                if dependencies is None:
                    dependencies = asyncio.ensure_future(self.until_ready(target.depends_on))
                if dependencies.done():
                    dependencies.result()
                await self._report(target)
                await asyncio.sleep(POLL_SECONDS)
        finally:
            if dependencies is not None and not dependencies.cancel():
                dependencies.exception()

    async def _report(self, target: WaitTarget) -> None:
        """Report a target's last log line; several may wait for the same one, it is reported once."""
        reported, at = self._reported[target.container]
        if time.monotonic() - at < REPORT_SECONDS:
            return
        self._reported[target.container] = (reported, time.monotonic())
        lines = await self.log(target, 3)
        line = lines[-1][:LONGEST_LINE] if lines else "starting"
        if line != reported:
            self.report(f"{target.display_name}: {line}")
            self._reported[target.container] = (line, time.monotonic())

    async def _failure(self, target: WaitTarget, reason: str) -> str:
        """Return the text of a failure; its cause is one that the failed one depends on and is not ready."""
        for dependency in dict.fromkeys(target.dependencies):
            if cause := await self.cause(dependency):
                text = await self._with_log(dependency, cause)
                return f"{text}\n  {target.display_name} depends on it: {self.log_command(target)}"
        return await self._with_log(target, reason)

    async def _with_log(self, target: WaitTarget, reason: str) -> str:
        lines = failure_lines(await self.log(target, LOG_LINES))
        if not lines:
            return f"{target.display_name} {reason}"
        shown = "\n".join(f"  | {line[:LONGEST_LINE]}" for line in lines)
        return f"{target.display_name} {reason}\n{shown}\n  Full log: {self.log_command(target)}"


def missing(target: WaitTarget) -> str:
    """Return the reason that a target is not there."""
    return f"({target.container}) no longer exists; recreate it: pulumi up --refresh"
