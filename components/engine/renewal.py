"""Lets containers begin again that have outlived what they work on. Imports no Pulumi."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from components.engine.watch import Awaited, Watcher, started_at

if TYPE_CHECKING:
    import docker


async def outlived(watcher: Watcher, containers: Sequence[Awaited], since: float) -> bool:
    """Whether one of the containers has run since before a moment, in epoch seconds."""
    started: list[float] = await asyncio.gather(
        *(watcher.run(partial(started_at, name=each.container)) for each in containers)
    )
    return min(started) < since


async def begin_again(
    watcher: Watcher, containers: Sequence[Awaited], grace_seconds: int, between: Callable[[], Awaitable[None]]
) -> None:
    """End all containers, await `between`, then start the first alone and, once it is ready, the others.

    Raises NotReady when one does not become ready.
    """
    await asyncio.gather(*(watcher.run(partial(_stop, each.container, grace_seconds)) for each in containers))
    await between()
    for group in (containers[:1], containers[1:]):
        await asyncio.gather(*(watcher.run(partial(_start, each.container)) for each in group))
        await watcher.until_ready(group)


def _stop(name: str, grace_seconds: int, client: "docker.DockerClient") -> None:
    client.api.stop(name, timeout=grace_seconds)


def _start(name: str, client: "docker.DockerClient") -> None:
    client.api.start(name)
