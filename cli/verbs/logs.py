"""`dhis2-cluster logs`: the logs of all parts, in the order of their time."""

import heapq
import json
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

import typer

from cli.deployed import REPORTED, DeployedStack
from cli.errors import CommandError
from cli.options import JsonOption, StackOption, complete_part
from cli.parts import Part
from cli.stacks import open_stack
from cli.target import find
from components.orchestrator.ssh import allow_session
from components.settings.quantities import Duration

RESCAN_SECONDS = 1.0
COLOURS = (
    "cyan",
    "green",
    "yellow",
    "magenta",
    "blue",
    "bright_cyan",
    "bright_green",
    "bright_yellow",
    "bright_magenta",
)
Line = tuple[str, Part, str]  # Docker's timestamp, what has logged it, the text


def logs(
    parts: Annotated[
        list[str] | None,
        typer.Argument(
            help="Such as core-1; core and replica are all of them. Without: all parts.", autocompletion=complete_part
        ),
    ] = None,
    *,
    stack: StackOption = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines, until Ctrl-C.")] = False,
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="Only lines from then on: 10m, 2h30m, 2026-05-01T12:00.")
    ] = "",
    tail: Annotated[int | None, typer.Option("--tail", "-n", min=0, help="The last lines of each part only.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the logs of all parts or of some, in the order of their time, in a colour for each part."""
    moment = moment_of(since, time.time()) if since else 0.0
    containers = open_stack(find(stack))
    words = parts or []
    sources = containers.log_sources(words)
    write = json_writer() if as_json else text_writer([source.label for source in sources], coloured())
    reader = Reader(containers, words, moment, tail)
    try:
        for line in reader.lines(follow):
            write(line)
    except KeyboardInterrupt:
        return


@dataclass
class Reader:
    """Reads the logs of the parts with these names; `since` is in epoch seconds, `tail` the last lines of each.

    On a swarm each task of a part has a log of its own.
    """

    containers: DeployedStack
    words: Sequence[str]
    since: float
    tail: int | None
    _last: dict[str, str] = field(default_factory=dict, init=False)  # the newest timestamp by container
    _allowed: set[str] = field(default_factory=set, init=False)  # what has a session of its own

    def lines(self, follow: bool) -> Iterator[Line]:
        """Yield the lines that are there in the order of their time; with `follow` new ones as they come."""
        began = time.time()
        sources = self.containers.log_sources(self.words)
        for source in sources:  # all are read at the same time
            self._allow_session(source)
        for line in heapq.merge(*map(self._read, sources), key=lambda line: (line[0], line[1].label, line[2])):
            self._last[line[1].container] = line[0]
            yield line
        if follow:
            yield from self._new_lines(began)

    def _read(self, source: Part) -> Iterator[Line]:
        for stamp, text in self.containers.log(source, since_seconds=self.since, tail=self.tail, follow=False):
            yield stamp, source, text

    def _new_lines(self, began: float) -> Iterator[Line]:
        """Yield what is logged from now on; parts that start, restart or are replaced are followed too."""
        arrived: queue.Queue[Line] = queue.Queue()
        threads: dict[str, threading.Thread] = {}
        scanned = float("-inf")
        while True:
            if time.monotonic() - scanned >= RESCAN_SECONDS:
                for source in self._present():
                    thread = threads.get(source.container)
                    if source.state == "running" and (thread is None or not thread.is_alive()):
                        self._allow_session(source)
                        thread = threading.Thread(target=self._follow, args=(source, began, arrived), daemon=True)
                        threads[source.container] = thread
                        thread.start()
                scanned = time.monotonic()
            try:
                yield arrived.get(timeout=RESCAN_SECONDS)
            except queue.Empty:
                continue

    def _allow_session(self, source: Part) -> None:
        if source.container not in self._allowed:
            self._allowed.add(source.container)
            allow_session()

    def _present(self) -> list[Part]:
        try:
            return self.containers.log_sources(self.words)
        except CommandError:
            return []  # all of them are being replaced

    def _follow(self, source: Part, began: float, arrived: "queue.Queue[Line]") -> None:
        """Put a container's new lines into the queue until it exits."""
        last = self._last.get(source.container, "")
        # Docker Engine takes whole seconds exactly; the lines of that second that were shown are left out here.
        since = float(int(_epoch(last) if last else began))
        try:
            for stamp, text in self.containers.log(source, since_seconds=since, tail=None, follow=True):
                if stamp > last:
                    self._last[source.container] = stamp
                    arrived.put((stamp, source, text))
        except (*REPORTED, OSError):
            return  # removed or the connection ended; the next scan follows it again


def moment_of(text: str, now: float) -> float:
    """Return `10m`, `1h30m` or an ISO date and time in epoch seconds; without a time zone it is this machine's.

    Raises CommandError.
    """
    duration = re.fullmatch(Duration.pattern, text.strip())
    if duration:
        return now - (Duration(0, 0).from_text(duration))
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except ValueError:
        raise CommandError(
            f'--since "{text}" is neither a duration such as 10m or 2h30m nor a time such as 2026-05-01T12:00'
        ) from None


def text_writer(labels: Sequence[str], colour: bool) -> Callable[[Line], None]:
    """Return a function that prints a line behind its part and node, as Compose does."""
    width = max(map(len, labels), default=0)
    colours = {label: COLOURS[index % len(COLOURS)] for index, label in enumerate(dict.fromkeys(labels))}

    def write(line: Line) -> None:
        _, source, text = line
        prefix = f"{source.label:<{width}} | "
        if colour:
            prefix = typer.style(prefix, fg=colours.setdefault(source.label, COLOURS[len(colours) % len(COLOURS)]))
        sys.stdout.write(f"{prefix}{text}\n")
        sys.stdout.flush()

    return write


def json_writer() -> Callable[[Line], None]:
    """Return a function that prints a line as a JSON object."""

    def write(line: Line) -> None:
        stamp, source, text = line
        origin = {"part": source.part} | ({"node": source.node} if source.node else {})
        sys.stdout.write(json.dumps({"time": stamp, **origin, "line": text}, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    return write


def coloured() -> bool:
    """Return whether the output is a terminal on which colours are wanted."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _epoch(stamp: str) -> float:
    return datetime.fromisoformat(stamp[:19] + "+00:00").timestamp()
