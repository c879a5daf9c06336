"""`status` for people: the parts in one table, and the volumes below it."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from cli.report import DatabaseStatus, PartStatus, StackStatus
from components.orchestrator.container_state import epoch_seconds

WIDE_COLUMNS = 130
GOOD, BAD, WORKING = "green", "bold red", "yellow"


@dataclass(frozen=True)
class StatusTable:
    """The status as rich prints it; `now` is in epoch seconds. Where it is wide enough the notes are in the table."""

    status: StackStatus
    now: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the rows of the stack, the parts, their notes and the volumes."""
        wide = options.max_width >= WIDE_COLUMNS
        replicas = any(part.database and part.database.standby for part in self.status.parts)
        # A manager does not know the memory that is used.
        columns = ("NODE", "SINCE") if self.status.nodes else ("SINCE", "MEMORY")
        parts = _table("PART", "HEALTH", *columns, "VERSION", *(["NOTES"] if wide else []))
        below = _table("PART", "NOTES")
        for part in self.status.parts:
            noted = list(notes(part, replicas))
            colour = GOOD if part.healthy else WORKING if part.health == "starting" else BAD
            parts.add_row(
                part.part,
                Text(part.health, style=colour),
                *([part.node or "-"] if self.status.nodes else []),
                since(part.started_at, self.now),
                *([] if self.status.nodes else [memory(part.memory_bytes, part.memory_limit_bytes)]),
                part.version,
                *([Text("\n").join(noted)] if wide else []),
            )
            if noted:
                below.add_row(part.part, Text("\n").join(noted))
        yield self._stack()
        yield Text()
        if self.status.nodes:
            yield self._nodes()
            yield Text()
        yield parts
        if not wide:
            yield Text()
            yield below
        yield Text()
        yield self._volumes()

    def _stack(self) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_row(Text("stack", style="bold"), self.status.stack)
        for row in self.status.rows:
            table.add_row(Text(row.name, style="bold"), Text(row.text, style="" if row.healthy else BAD))
        return table

    def _nodes(self) -> Table:
        table = _table("NODE", "STATE", "AVAILABILITY", "ROLE", "PARTS")
        for node in self.status.nodes:
            availability = Text(node.availability, style="" if node.availability == "active" else WORKING)
            state = Text(node.state, style=GOOD if node.healthy else BAD)
            table.add_row(node.node, state, availability, node.role, ", ".join(node.parts) or "-")
        return table

    def _volumes(self) -> Table:
        table = _table("VOLUME", *(["NODE"] if self.status.nodes else []), "USED", "FREE ON ITS DISK")
        for volume in self.status.volumes:
            node = [volume.node or "-"] if self.status.nodes else []
            table.add_row(volume.volume, *node, size(volume.used_bytes), size(volume.free_bytes))
        return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(
            name, no_wrap=name not in ("NOTES", "PARTS"), overflow="ellipsis" if name == "VERSION" else "fold"
        )
    return table


def notes(part: PartStatus, replicas: bool) -> Iterable[Text]:
    """Yield what else is worth knowing of a part, one line each."""
    if part.reason:
        yield Text(part.reason, style=BAD if part.health != "starting" else WORKING)
    if part.leader:
        yield Text("leader: runs the scheduled jobs")
    if part.restarts:
        yield Text(f"restarted {part.restarts} times after it exited", style=WORKING)
    database = part.database
    if database and database.standby:
        yield Text(lag(database), style=GOOD if database.state == "streaming" else BAD)
        yield Text(reads(database), style="" if database.table_scans else WORKING)
    elif database and replicas and database.read_sessions:
        yield Text(
            f"{_count(database.sessions, 'session')}, {database.read_sessions} of them for reads: no replica answered these",
            style=WORKING,
        )
    elif database:
        yield Text(_count(database.sessions, "session"))


def lag(database: DatabaseStatus) -> str:
    """Return a replica's state and how far it is behind its primary."""
    behind = [size(database.lag_bytes)] if database.lag_bytes is not None else []
    behind += [f"{database.lag_seconds:.0f} s"] if database.lag_seconds is not None else []
    return f"{database.state}, {' and '.join(behind)} behind" if behind else str(database.state)


def reads(database: DatabaseStatus) -> str:
    """Return the proof that DHIS2 reads from a replica, or that it does not."""
    last = "" if database.last_read_seconds is None else f", last statement {duration(database.last_read_seconds)} ago"
    return f"{_count(database.read_sessions, 'read session')}{last}, {_count(database.table_scans, 'table scan')}"


def since(started_at: str | None, now: float) -> str:
    """Return how long a container has run."""
    return duration(now - epoch_seconds(started_at)) if started_at else "-"


def duration(seconds: float) -> str:
    """Return a time span with one unit: `45 s`, `3 min`, `5 h`, `2 days`."""
    minute, hour, day = 60, 3600, 86400
    if seconds < 2 * minute:
        return f"{max(0, seconds):.0f} s"
    if seconds < 2 * hour:
        return f"{seconds // minute:.0f} min"
    return f"{seconds // hour:.0f} h" if seconds < 2 * day else f"{seconds // day:.0f} days"


def memory(used: int | None, limit: int | None) -> str:
    """Return used memory and its limit."""
    return "-" if used is None else f"{size(used)} / {size(limit)}" if limit else size(used)


def size(count: int | None) -> str:
    """Return bytes with a unit, powers of 1024 as Docker's limits: `512 MB`, `1.5 GB`; `-` where unknown."""
    if count is None:
        return "-"
    number, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":  # noqa: PLR2004 - at most three digits
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit in ("B", "kB", "MB") or number >= 10 else f"{number:.1f} {unit}"  # noqa: PLR2004 - two digits are enough


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"
