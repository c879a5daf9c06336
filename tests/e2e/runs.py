"""A `pulumi up` in the background: how far it is, its processes, and its end."""

import os
import signal
import subprocess
import threading
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.stack import UP, Stack
from tests.support.waiting import until

# What the command line of each process has, of Pulumi's own plugins or of the fake ones.
LANGUAGE_HOST = ("pulumi-language-python", "language_host.host")
DOCKER_PROVIDER = ("pulumi-resource-docker", "docker_provider.provider")
# A line of the CLI's report for each of these steps of a resource.
STEPS = (" creating (", " created (")


@dataclass
class RunningUp(AbstractContextManager["RunningUp"]):
    """A `pulumi up` of a stack; whatever is left of its processes is killed at the end of the context."""

    stack: Stack
    _lines: list[str] = field(default_factory=list)
    _children: dict[int, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Start it."""
        self._process = subprocess.Popen(
            ["pulumi", "--non-interactive", "--color=never", *UP, "--stack", self.stack.name],
            cwd=self.stack.folder,
            env=self.stack.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill what still runs."""
        self._children |= descendants(self._process.pid)
        self._process.kill()
        self._process.wait()
        for pid, command in self._children.items():
            if command_line(pid) == command:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return "".join(self._lines)

    def steps(self) -> int:
        """Return how many creates have begun or ended, by the lines of its report."""
        return sum(any(step in line for step in STEPS) for line in self._lines)

    def exited(self) -> bool:
        """Return whether the CLI has exited."""
        return self._process.poll() is not None

    def code(self) -> int:
        """Wait for its end, of the CLI and of the providers, and return the exit code of the CLI."""
        until(self.exited, "pulumi up to exit")
        # A provider that outlives its CLI finishes the create it has begun.
        until(lambda: not self._alive(DOCKER_PROVIDER), "the docker provider to exit")
        self._reader.join()
        return int(self._process.returncode)

    def kill(self, process: tuple[str, ...], number: int) -> None:
        """Send a signal to the CLI (`process` is empty) or to a plugin, known by a text of its command line."""
        self._children = descendants(self._process.pid)
        pids = self._alive(process) if process else [self._process.pid]
        assert pids or self.exited(), f"none of {process} runs"
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _alive(self, process: tuple[str, ...]) -> list[int]:
        return [
            pid
            for pid, command in self._children.items()
            if any(text in command for text in process) and command_line(pid) == command
        ]

    def _read(self) -> None:
        assert self._process.stdout
        self._lines.extend(iter(self._process.stdout.readline, ""))


def descendants(parent: int) -> dict[int, str]:
    """Return the command lines of all processes below one, by their ids."""
    found: dict[int, str] = {}
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name of a process, in brackets, may hold anything.
            fields = entry.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    below = children.get(parent, [])
    while below:
        pid = below.pop()
        found[pid] = command_line(pid)
        below += children.get(pid, [])
    return found


def command_line(pid: int) -> str:
    """Return the command line of a process, empty when it has exited."""
    try:
        return Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
