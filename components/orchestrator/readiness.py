"""Wait for containers to become ready, and report what they are doing meanwhile."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from docker import DockerClient
from docker.errors import APIError, NotFound
from requests.exceptions import ConnectionError as RequestsConnectionError

from components.orchestrator.client import UNREACHABLE, connect, engine_address
from components.orchestrator.commands import execute
from components.orchestrator.container_state import FATAL, Condition, evaluate, failure_lines, healthcheck_output

POLL_SECONDS = 0.5
PROBE_SECONDS = 1.0
REPORT_SECONDS = 5.0
LOG_LINES = 400
LONGEST_LINE = 200

# Not the event loop's default executor: the SDK's registrations occupy that one until the Pulumi engine has answered,
# and the Pulumi engine may be waiting for us.
_EXECUTOR = ThreadPoolExecutor(max_workers=16, thread_name_prefix="readiness")


class NotReady(Exception):
    """A container that did not become ready: which, why, its last log lines, and what to do."""


@dataclass(frozen=True)
class WaitTarget:
    """A container by its Docker name, its display name, and the condition it is waited for.

    It does not become ready without those it `depends_on`. Where it fails and one of them is not ready, that one is
    reported as the cause.
    """

    container: str
    display_name: str
    condition: Condition = Condition.SERVICE_HEALTHY
    depends_on: tuple["WaitTarget", ...] = ()

    @property
    def dependencies(self) -> Iterator["WaitTarget"]:
        """What it depends on, also through others; what others depend on comes first."""
        for dependency in self.depends_on:
            yield from dependency.dependencies
            yield dependency


@dataclass
class Watcher:
    """Watches the containers of one Docker Engine. `report` takes a line of progress for the console."""

    docker_host: str | None
    timeout_seconds: int
    report: Callable[[str], None]
    _client: DockerClient | None = field(default=None, init=False)
    _reported: dict[str, tuple[str, float]] = field(default_factory=dict, init=False)
    _probed: dict[str, tuple[bool, float]] = field(default_factory=dict, init=False)

    async def until_ready(self, targets: Sequence[WaitTarget]) -> None:
        """Return when all are ready. Raises NotReady at the first that has failed, or after the timeout."""
        await asyncio.gather(*(self._until_ready(target) for target in targets))

    async def until_succeeds(self, target: WaitTarget, command: Sequence[str], failure: str) -> None:
        """Return when a command succeeds in a container. Raises NotReady with `failure` after the timeout."""
        deadline = time.monotonic() + self.timeout_seconds
        while (await self.run(lambda client: execute(client, target.container, command)))[0]:
            if time.monotonic() > deadline:
                raise NotReady(await self._failure(target, failure))
            await asyncio.sleep(POLL_SECONDS)

    async def run(self, action: Callable[[DockerClient], Any]) -> Any:  # noqa: ANN401 - the action's result
        """Return an action's result with a Docker client, off the event loop. Raises NotReady if unreachable."""

        def act() -> Any:  # noqa: ANN401
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
            return await asyncio.get_running_loop().run_in_executor(_EXECUTOR, act)
        except UNREACHABLE as error:
            raise NotReady(f"Docker Engine at {engine_address(self.docker_host)}: {error}") from error

    async def _until_ready(self, target: WaitTarget) -> None:
        """Return when a container is ready; one that is not yet fails as soon as one it depends on has failed."""
        restarts: int | None = None
        deadline = time.monotonic() + self.timeout_seconds
        self._reported.setdefault(target.container, ("", time.monotonic()))
        dependencies: asyncio.Future[None] | None = None
        try:
            while True:
                inspected = await self.run(lambda client: inspect(client, target.container))
                if inspected is None and target.condition is Condition.SERVICE_COMPLETED_SUCCESSFULLY:
                    return  # exited containers were pruned
                if inspected is None:
                    raise NotReady(f"{target.display_name} {_missing(target)}")
                if restarts is None:
                    restarts = int(inspected.get("RestartCount") or 0)
                evaluation = evaluate(inspected, target.condition, restarts)
                if evaluation.ready:
                    return
                if evaluation.status in ("starting", "unhealthy") and await self._passes(target.container, inspected):
                    return
                if evaluation.reason:
                    raise NotReady(await self._failure(target, evaluation.reason))
                if time.monotonic() > deadline:
                    status = ": ".join(filter(None, (evaluation.status, healthcheck_output(inspected))))
                    reason = f"was not ready after {self.timeout_seconds} s ({status}); to wait longer: pulumi config set readyTimeout {2 * self.timeout_seconds} && pulumi up"
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

    async def _passes(self, container: str, inspected: dict[str, Any]) -> bool:
        """Tell whether a starting container's healthcheck passes; Docker runs it only every few seconds."""
        passed, at = self._probed.get(container, (False, 0.0))
        if time.monotonic() - at >= PROBE_SECONDS:
            self._probed[container] = (False, time.monotonic())
            passed, _ = await self.run(lambda client: probe(client, container, inspected))
            self._probed[container] = (passed, time.monotonic())
        return passed

    async def _cause(self, target: WaitTarget) -> str:
        """Return why a container is not ready at this moment, not at Docker's last healthcheck; empty while it is."""
        inspected = await self.run(lambda client: inspect(client, target.container))
        if inspected is None:
            return _missing(target)
        evaluation = evaluate(inspected, target.condition, int(inspected.get("RestartCount") or 0))
        if evaluation.reason and evaluation.status != "unhealthy":
            return evaluation.reason
        passes, output = await self.run(lambda client: probe(client, target.container, inspected))
        return "" if passes else f"is unhealthy: {output.removeprefix(FATAL)}"

    async def _report(self, target: WaitTarget) -> None:
        """Report a container's last log line; several may wait for the same container, it is reported once."""
        reported, at = self._reported[target.container]
        if time.monotonic() - at < REPORT_SECONDS:
            return
        self._reported[target.container] = (reported, time.monotonic())
        lines = await self._log(target, 3)
        line = lines[-1][:LONGEST_LINE] if lines else "starting"
        if line != reported:
            self.report(f"{target.display_name}: {line}")
            self._reported[target.container] = (line, time.monotonic())

    async def _failure(self, target: WaitTarget, reason: str) -> str:
        """Return the text of a failure; its cause is a container that the failed one depends on and is not ready."""
        for dependency in dict.fromkeys(target.dependencies):
            if cause := await self._cause(dependency):
                text = await self._with_log(dependency, cause)
                return f"{text}\n  {target.display_name} depends on it: docker logs {target.container}"
        return await self._with_log(target, reason)

    async def _with_log(self, target: WaitTarget, reason: str) -> str:
        lines = failure_lines(await self._log(target, LOG_LINES))
        if not lines:
            return f"{target.display_name} {reason}"
        shown = "\n".join(f"  | {line[:LONGEST_LINE]}" for line in lines)
        return f"{target.display_name} {reason}\n{shown}\n  Full log: docker logs {target.container}"

    async def _log(self, target: WaitTarget, count: int) -> list[str]:
        return list(await self.run(lambda client: log_lines(client, target.container, count)))


def inspect(client: DockerClient, name: str) -> dict[str, Any] | None:
    """Return a container's inspection; None when there is no container of that name."""
    with suppress(NotFound):
        return dict(client.api.inspect_container(name))
    return None


def log_lines(client: DockerClient, name: str, count: int) -> list[str]:
    """Return the last lines of a container's log without blank ones; none when there is no container of that name."""
    with suppress(NotFound):
        text = bytes(client.api.logs(name, tail=count)).decode(errors="replace")
        return [line for line in text.splitlines() if line.strip()]
    return []


def probe(client: DockerClient, name: str, inspected: dict[str, Any]) -> tuple[bool, str]:
    """Return whether a container's healthcheck succeeds now, and what it prints."""
    try:
        code, output = execute(client, name, inspected["Config"]["Healthcheck"]["Test"][1:])
    except APIError as error:
        return False, str(error.explanation)  # it has just exited, and the next inspection has the reason
    return code == 0, output.strip()


def _missing(target: WaitTarget) -> str:
    return f"({target.container}) no longer exists; recreate it: pulumi up --refresh"
