"""Restart containers that have outlived what they work on."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from docker import DockerClient

from components.orchestrator.container_state import epoch_seconds
from components.orchestrator.readiness import WaitTarget, Watcher, inspect

DOCKER_STOP_TIMEOUT_SECONDS = 10  # Docker Engine's own


async def any_started_before(watcher: Watcher, targets: Sequence[WaitTarget], moment: float) -> bool:
    """Tell whether one of the containers has run since before a moment, in epoch seconds."""
    moments = await asyncio.gather(*(watcher.run(partial(_started_at, target.container)) for target in targets))
    return any(started < moment for started in moments)


async def restart_all(
    watcher: Watcher, targets: Sequence[WaitTarget], stop_timeout_seconds: int, between: Callable[[], Awaitable[None]]
) -> None:
    """Stop all containers, await `between`, then start the first alone and, once it is ready, the others.

    Raises NotReady when one does not become ready.
    """
    await asyncio.gather(*(watcher.run(partial(_stop, target.container, stop_timeout_seconds)) for target in targets))
    await between()
    for group in (targets[:1], targets[1:]):
        await asyncio.gather(*(watcher.run(partial(_start, target.container)) for target in group))
        await watcher.until_ready(group)


async def restart_in_turn(watcher: Watcher, targets: Sequence[WaitTarget]) -> None:
    """Restart the containers one after the other, each when all others are ready.

    Raises NotReady when one is not ready before its turn or after it; no further one is stopped then. Docker Engine
    itself stops and starts each with the stop timeout it was created with, so none stays stopped when this is killed.
    """
    for number, target in enumerate(targets, 1):
        await watcher.until_ready(targets)
        watcher.report(f"{target.display_name} ({number} of {len(targets)})")
        await watcher.run(partial(restart, target.container))
    await watcher.until_ready(targets)


async def restart_one(watcher: Watcher, target: WaitTarget) -> None:
    """Restart a container in whatever state it is. Raises NotReady when it does not become ready."""
    await watcher.run(partial(restart, target.container))
    await watcher.until_ready([target])


def _started_at(name: str, client: DockerClient) -> float:
    """Return when a running container was started, in epoch seconds; infinity when it does not run."""
    state = (inspect(client, name) or {}).get("State") or {}
    return epoch_seconds(str(state["StartedAt"])) if state.get("Status") == "running" else math.inf


def _stop(name: str, stop_timeout_seconds: int, client: DockerClient) -> None:
    client.api.stop(name, timeout=stop_timeout_seconds)


def restart(name: str, client: DockerClient) -> None:
    """Have Docker Engine restart a container within the stop timeout it was created with."""
    config = (inspect(client, name) or {}).get("Config") or {}
    client.api.restart(name, timeout=int(config.get("StopTimeout") or DOCKER_STOP_TIMEOUT_SECONDS))


def _start(name: str, client: DockerClient) -> None:
    client.api.start(name)
