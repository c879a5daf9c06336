"""Restart containers that have outlived what they work on."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from components.orchestrator.watcher import WaitTarget, Watcher


async def any_started_before(watcher: Watcher, targets: Sequence[WaitTarget], moment: float) -> bool:
    """Tell whether one of the containers has run since before a moment, in epoch seconds."""
    moments = await asyncio.gather(*(watcher.started_at(target.container) for target in targets))
    return any(started < moment for started in moments)


async def restart_all(
    watcher: Watcher, targets: Sequence[WaitTarget], stop_timeout_seconds: int, between: Callable[[], Awaitable[None]]
) -> None:
    """Stop all containers, await `between`, then start the first alone and, once it is ready, the others.

    Raises NotReady when one does not become ready.
    """
    await asyncio.gather(*(watcher.stop(target.container, stop_timeout_seconds) for target in targets))
    await between()
    for group in (targets[:1], targets[1:]):
        await asyncio.gather(*(watcher.start(target.container) for target in group))
        await watcher.until_ready(group)


async def restart_in_turn(watcher: Watcher, targets: Sequence[WaitTarget]) -> None:
    """Restart the containers one after the other, each when all others are ready.

    Raises NotReady when one is not ready before its turn or after it; no further one is stopped then. Docker Engine
    itself stops and starts each with the stop timeout it was created with, so none stays stopped when this is killed.
    """
    for number, target in enumerate(targets, 1):
        await watcher.until_ready(targets)
        watcher.report(f"{target.display_name} ({number} of {len(targets)})")
        await watcher.restart(target.container)
    await watcher.until_ready(targets)


async def restart_one(watcher: Watcher, target: WaitTarget) -> None:
    """Restart a container in whatever state it is. Raises NotReady when it does not become ready."""
    await watcher.restart(target.container)
    await watcher.until_ready([target])
