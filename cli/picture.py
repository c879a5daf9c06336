"""Command: python -m cli.picture. Writes docs/status.svg, the picture of `status` in the README, from a sample."""

import io
import re
from datetime import datetime

from rich.console import Console

from cli.report import DatabaseStatus, PartStatus, StackStatus, VolumeStatus
from cli.rows import Row
from cli.table import StatusTable
from tools.paths import ROOT

PICTURE = ROOT / "docs" / "status.svg"
NOW = datetime.fromisoformat("2026-05-01T12:00:00+00:00").timestamp()
MB, GB = 2**20, 2**30
COLUMNS = 76  # readable in the width of a page


def picture() -> str:
    """Return the SVG. It has no font address: a viewer uses its own monospaced font and asks no other server."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(StatusTable(sample(), NOW))
    svg = console.export_svg(title="dhis2-cluster status", unique_id="status")
    svg = re.sub(r"@font-face \{.*?\}\n*", "", svg, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def sample() -> StackStatus:
    """Return the status of a stack with two cores and a replica."""
    primary = DatabaseStatus(
        standby=False,
        state=None,
        lag_bytes=None,
        lag_seconds=None,
        sessions=14,
        read_sessions=0,
        last_read_seconds=None,
        table_scans=904_112,
    )
    replica = DatabaseStatus(
        standby=True,
        state="streaming",
        lag_bytes=0,
        lag_seconds=0.0,
        sessions=8,
        read_sessions=8,
        last_read_seconds=2.0,
        table_scans=31_870,
    )
    parts = [
        _part("lb", 24 * MB, 256 * MB, "NGINX 1.29.3"),
        _part("core-1", 1100 * MB, 3 * GB, "DHIS2 2.42.3.1", leader=True),
        _part("core-2", 1060 * MB, 3 * GB, "DHIS2 2.42.3.1"),
        _part("cache", 7 * MB, 256 * MB, "Valkey 8.1.4"),
        _part("primary", 412 * MB, 1536 * MB, "PostgreSQL 17.2", database=primary),
        _part("replica-1", 377 * MB, 1536 * MB, "PostgreSQL 17.2", database=replica),
    ]
    sizes = {"files": 310 * MB, "cache-data": 2 * MB, "primary-data": 5 * GB, "replica-1-data": 5 * GB}
    volumes = [VolumeStatus(volume=name, used_bytes=used, free_bytes=212 * GB) for name, used in sizes.items()]
    address = "http://127.0.0.1:8080"
    rows = [Row(name="url", text=address, value=address), Row(name="analytics", text="done", value="done")]
    return StackStatus(stack="dev", rows=rows, parts=parts, volumes=volumes)


def _part(
    name: str, used: int, limit: int, version: str, *, leader: bool = False, database: DatabaseStatus | None = None
) -> PartStatus:
    return PartStatus(
        part=name,
        container=f"dhis2-cluster-dev-{name}",
        healthy=True,
        health="healthy",
        started_at="2026-04-28T09:30:00.000000000Z",
        memory_bytes=used,
        memory_limit_bytes=limit,
        version=version,
        leader=leader,
        database=database,
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
