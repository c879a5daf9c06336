"""Restart containers that have outlived what they work on."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from components.orchestrator.readiness import WaitTarget, Watcher, started_at

if TYPE_CHECKING:
    import docker


async def any_started_before(watcher: Watcher, targets: Sequence[WaitTarget], moment: float) -> bool:
    """Tell whether one of the containers has run since before a moment, in epoch seconds."""
    started: list[float] = await asyncio.gather(
        *(watcher.run(partial(started_at, name=target.container)) for target in targets)
    )
    return min(started) < moment


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


def _stop(name: str, stop_timeout_seconds: int, client: "docker.DockerClient") -> None:
    client.api.stop(name, timeout=stop_timeout_seconds)


def _start(name: str, client: "docker.DockerClient") -> None:
    client.api.start(name)
