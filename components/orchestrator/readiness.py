"""DockerWatcher: wait for containers of a Docker Engine, report what they do meanwhile, ask and restart them."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from docker import DockerClient
from requests.exceptions import ConnectionError as RequestsConnectionError

from components.orchestrator import commands
from components.orchestrator.client import UNREACHABLE, connect, engine_address
from components.orchestrator.container_state import (
    FATAL,
    Condition,
    epoch_seconds,
    evaluate,
    failure_lines,
    healthcheck_output,
)
from components.orchestrator.containers import inspect, log_lines, probe, restart, restart_failed
from components.orchestrator.dump_upload import upload_dump
from components.orchestrator.engine_info import volume_exists
from components.orchestrator.short_lived import ShortLived, run_short_lived
from components.orchestrator.watcher import DumpUpload, NotReady, Result, WaitTarget, Watcher, in_thread

POLL_SECONDS = 0.5
PROBE_SECONDS = 1.0
REPORT_SECONDS = 5.0
LOG_LINES = 400
LONGEST_LINE = 200


@dataclass
class DockerWatcher(Watcher):
    """Watches the containers of one Docker Engine."""

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
        while (await self.execute(target.container, command))[0]:
            if time.monotonic() > deadline:
                raise NotReady(await self._failure(target, failure))
            await asyncio.sleep(POLL_SECONDS)

    async def execute(self, container: str, command: Sequence[str]) -> tuple[int, str]:
        """Return exit code and output of a command in a container; NOT_RUNNING where the container ended before it."""
        return await self.run(lambda client: commands.execute(client, container, command))

    async def read_file(self, container: str, path: str) -> str | None:
        """Return the text of a file in a container, running or not; None when there is no such container or file."""
        return await self.run(lambda client: commands.read_file(client, container, path))

    async def write_file(self, container: str, path: str, content: str | bytes, uid: int) -> None:
        """Replace a file in a running container, atomically; only `uid`, the container's user, can read it."""
        await self.run(lambda client: commands.write_file(client, container, path, content, uid))

    async def started_at(self, container: str) -> float:
        """Return when a running container was started, in epoch seconds; infinity when it does not run."""
        state = (await self.run(lambda client: inspect(client, container)) or {}).get("State") or {}
        return epoch_seconds(str(state["StartedAt"])) if state.get("Status") == "running" else math.inf

    async def stop(self, container: str, timeout_seconds: int) -> None:
        """Stop a container; it has `timeout_seconds` before it is killed."""
        await self.run(lambda client: client.api.stop(container, timeout=timeout_seconds))

    async def start(self, container: str) -> None:
        """Start a container that was stopped."""
        await self.run(lambda client: client.api.start(container))

    async def restart(self, container: str) -> None:
        """Restart a container within the stop timeout it was created with."""
        await self.run(lambda client: restart(client, container))

    async def restart_failed(self, container: str) -> bool:
        """Restart a one-shot container that has failed before; tell whether it is running now."""
        return await self.run(lambda client: restart_failed(client, container))

    async def upload_dump(self, container: str, upload: DumpUpload) -> None:
        """Copy a dump file into a container. Raises NotReady when the disk has no room for it."""
        await self.run(lambda client: upload_dump(client, container, upload))

    async def volume_exists(self, name: str) -> bool:
        """Tell whether a volume exists."""
        return await self.run(lambda client: volume_exists(client, name))

    async def run_short_lived(self, spec: ShortLived) -> tuple[int, str]:
        """Return exit code and output of a command in a container of its own, which is removed."""
        return await self.run(lambda client: run_short_lived(client, spec))

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


def _missing(target: WaitTarget) -> str:
    return f"({target.container}) no longer exists; recreate it: pulumi up --refresh"
