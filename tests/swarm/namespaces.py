"""Network namespaces with names, and the processes in them.

A namespace is how processes of a run are found again: by it, not by numbers of processes that a killed run wrote down
and that may be those of others by now.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.support.waiting import until
from tests.swarm.commands import ip

FOLDER = Path("/run/netns")


def add(name: str) -> None:
    """Create a network namespace in which loopback is up."""
    ip("netns", "add", name)
    ip("-n", name, "link", "set", "lo", "up")


def enter(name: str) -> list[str]:
    """Return the beginning of a command that runs in a namespace.

    Not `ip netns exec`: it mounts another /sys, which lacks the control groups.
    """
    return ["nsenter", f"--net={FOLDER / name}", "--"]


def named(pattern: str) -> list[str]:
    """Return the names of the namespaces that match a shell pattern."""
    return sorted(path.name for path in FOLDER.glob(pattern))


def processes(name: str) -> list[int]:
    """Return the processes in a namespace."""
    return [int(line) for line in ip("netns", "pids", name).split()]


def remove(name: str) -> None:
    """Kill every process in a namespace and remove it."""
    until(lambda: not kill(name), f"the processes in network namespace {name} to end", seconds=60)
    ip("netns", "delete", name)


def kill(name: str) -> list[int]:
    """Kill the processes in a namespace and return those that were there."""
    there = processes(name)
    for process in there:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return there
