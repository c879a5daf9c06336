"""Faults of a deployed stack's containers, and how they come back.

Processes are killed from outside their containers, as by the kernel's OOM killer. After `docker kill` Docker Engine
would not restart the container: it counts as stopped by the user.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.stack import Stack
from tests.support.waiting import until


def kill(stack: Stack, *parts: str) -> None:
    """Kill all processes of the containers of these parts."""
    for process in [process for part in parts for process in stack.processes(part)]:
        with suppress(ProcessLookupError):  # it exited with its parent
            os.kill(process, signal.SIGKILL)


@contextmanager
def stopped(stack: Stack, part: str) -> Iterator[None]:
    """Keep the container of a part stopped while the context is open."""
    stack.container(part).stop(timeout=20)
    try:
        yield
    finally:
        stack.container(part).start()


def started(stack: Stack, part: str) -> str:
    """Return when a part was started, as Docker Engine reports it."""
    return str(stack.container(part).attrs["State"]["StartedAt"])


def restarted(stack: Stack, part: str, before: str) -> bool:
    """Return whether a part was started after `before` and is healthy."""
    return started(stack, part) != before and stack.is_healthy(part)


def until_restarted(stack: Stack, part: str, before: str) -> None:
    """Wait until a part was started after `before` and is healthy."""
    until(lambda: restarted(stack, part, before), f"{part} to be back")
