"""DockerWatcher: the containers of one Docker Engine, which is asked directly."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from components.orchestrator import commands
from components.orchestrator.container_state import (
    FATAL,
    Condition,
    Evaluation,
    epoch_seconds,
    evaluate,
    healthcheck_output,
)
from components.orchestrator.containers import inspect, log_lines, probe, restart, restart_failed
from components.orchestrator.dump_upload import upload_dump
from components.orchestrator.engine_info import volume_exists
from components.orchestrator.readiness import EngineWatcher, missing
from components.orchestrator.short_lived import ShortLived, run_short_lived
from components.orchestrator.watcher import DumpUpload, NotReady, WaitTarget

PROBE_SECONDS = 1.0


@dataclass
class DockerWatcher(EngineWatcher):
    """Watches the containers of one Docker Engine."""

    _probed: dict[str, tuple[bool, float]] = field(default_factory=dict, init=False)

    async def look(self, target: WaitTarget, seen: dict[str, Any]) -> Evaluation:
        """Evaluate a container once; one that exits and is restarted during the wait has failed.

        Raises NotReady when there is none.
        """
        inspected = await self.run(lambda client: inspect(client, target.container))
        if inspected is None and target.condition is Condition.SERVICE_COMPLETED_SUCCESSFULLY:
            return Evaluation(ready=True)  # exited containers were pruned
        if inspected is None:
            raise NotReady(f"{target.display_name} {missing(target)}")
        restarts = seen.setdefault("restarts", int(inspected.get("RestartCount") or 0))
        evaluation = evaluate(inspected, target.condition, restarts)
        if evaluation.status in ("starting", "unhealthy") and await self._passes(target.container, inspected):
            return Evaluation(ready=True)
        status = ": ".join(filter(None, (evaluation.status, healthcheck_output(inspected))))
        return replace(evaluation, status=status)

    async def cause(self, target: WaitTarget) -> str:
        """Return why a container is not ready at this moment, not at Docker's last healthcheck; empty while it is."""
        inspected = await self.run(lambda client: inspect(client, target.container))
        if inspected is None:
            return missing(target)
        evaluation = evaluate(inspected, target.condition, int(inspected.get("RestartCount") or 0))
        if evaluation.reason and evaluation.status != "unhealthy":
            return evaluation.reason
        passes, output = await self.run(lambda client: probe(client, target.container, inspected))
        return "" if passes else f"is unhealthy: {output.removeprefix(FATAL)}"

    async def log(self, target: WaitTarget, count: int) -> list[str]:
        """Return the last lines of a container's log without blank ones."""
        return await self.run(lambda client: log_lines(client, target.container, count))

    def log_command(self, target: WaitTarget) -> str:
        """Return the command that prints a container's log."""
        return f"docker logs {target.container}"

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

    async def _passes(self, container: str, inspected: dict[str, Any]) -> bool:
        """Tell whether a starting container's healthcheck passes; Docker runs it only every few seconds."""
        passed, at = self._probed.get(container, (False, 0.0))
        if time.monotonic() - at >= PROBE_SECONDS:
            self._probed[container] = (False, time.monotonic())
            passed, _ = await self.run(lambda client: probe(client, container, inspected))
            self._probed[container] = (passed, time.monotonic())
        return passed
