"""Restore of a dump: our primary against the initdb.d folder of an image with default settings.

The first start restores the dump and keeps a copy in the dump cache, the second one starts from that copy. Before
them, a stack that keeps none restores the dump; it removes all copies in the dump cache.
"""

import argparse
import os
import re
import time
from pathlib import Path

from docker.models.containers import Container

from bench import engine
from bench.engine import BenchError
from bench.figures import Row, Series, phases, table
from components.orchestrator.container_state import epoch_seconds
from components.settings.model import Settings
from tests.support.commands import try_sql
from tests.support.containers import Containers
from tests.support.ports import listens
from tests.support.stack import Stack

SCALE = 16.0  # about 1 GB in the database
AIM_SECOND, AIM_FIRST = 0.15, 1.1
COPY = "copy"
PGDATA = "/var/lib/postgresql/data"
# What a line of the primary's log opens.
BEGINS = (
    ("restoring ", "tables, keys and indexes"),
    ("gathering statistics", "statistics"),
    ("keeping a copy", COPY),
    ("the copy is written", "passwords and marker"),
    ("the database is restored", "final server"),
)
READY = re.compile(r"PostgreSQL \d+ is ready$")
# Of tables no migration changes: a core has migrated ours by the time it is counted.
COUNTED = """SELECT (SELECT count(*) FROM datavalue),
    (SELECT count(*) FROM pg_indexes WHERE tablename IN ('datavalue', 'organisationunit')),
    (SELECT count(*) FROM pg_constraint
        WHERE convalidated AND conrelid IN ('datavalue'::regclass, 'organisationunit'::regclass))"""


def options(parser: argparse.ArgumentParser) -> None:
    """The options of this measurement."""
    parser.add_argument("--dump", type=Path, help="a dump of a DHIS2 instead of the sample dump")
    memory = Settings.model_fields["database_memory_mb"].default
    parser.add_argument("--scale", type=float, default=SCALE, help="size of the sample dump; 16 is about 1 GB")
    parser.add_argument("--memory", type=int, default=memory, help="databaseMemory of ours, MB; the other has no limit")


def run(chosen: argparse.Namespace) -> str:
    """Restore the dump both ways in turn, and start from the copy."""
    client = engine.connect()
    image = engine.image(client, "databaseImage")
    dump = chosen.dump.resolve() if chosen.dump else engine.sample(chosen.scale)
    settings = {"replicas": 0, "databaseMemory": chosen.memory}
    ours, first, second, others, parts, size = [], [], [], [], list[dict[str, float]](), ""
    for _ in range(chosen.repetitions):
        with engine.stack(client, dumpUrl=dump, dumpCacheSize=0, **settings) as stack:
            ours.append(ours_seconds(stack)[0])
            counted = stack.sql(COUNTED)
            size = stack.sql("SELECT pg_size_pretty(pg_database_size('dhis'))")
        with engine.stack(client, dumpUrl=dump, **settings) as stack:
            took, spent = ours_seconds(stack)
            stack.destroy()
            first.append(took)
            parts.append(spent)
            second.append(ours_seconds(stack)[0])
            if "starting from the copy" not in stack.log("primary") or stack.sql(COUNTED) != counted:
                raise BenchError("the second start was not from the copy. Is there room for one? docker system df")
        with engine.containers(client) as made:
            other = plain_seconds(made, image, dump)
        others.append(other[0])
        if other[1] != counted:
            raise BenchError(f"not the same was restored (rows, indexes, constraints): {counted} and {other[1]}")
    title = f"restore: {dump.name} ({dump.stat().st_size / 1e6:.1f} MB, {size} in the database, rows|indexes|constraints {counted}), databaseMemory {chosen.memory}, {chosen.repetitions} repetitions, {engine.machine(client)}"
    names = [name for name in parts[0] if all(name in each for each in parts)]
    rows = [
        Row("our primary without a copy, start to TCP, s", Series.of(ours), 1),
        Row("plain initdb.d, start to TCP, s", Series.of(others), 1),
        Row("ours / plain", Series.of(ours).by(Series.of(others))),
        Row("first start, keeps a copy, s", Series.of(first), 1),
        Row("first start / ours without a copy", Series.of(first).by(Series.of(ours)), aim=AIM_FIRST),
        Row("second start, from the copy, s", Series.of(second), 1),
        Row("second start / plain", Series.of(second).by(Series.of(others)), aim=AIM_SECOND),
        *(
            Row(f"  of the first start: {name}", Series.of([each[name] for each in parts]).by(Series.of(first)))
            for name in names
        ),
    ]
    return table(title, rows)


def ours_seconds(stack: Stack) -> tuple[float, dict[str, float]]:
    """From the primary's start to its answers by TCP, as `pulumi up` starts it, and where the time went."""
    os.sync()  # or the disk still writes what was measured before
    stack.up()
    primary = stack.container("primary")
    lines = [(epoch_seconds(primary.attrs["State"]["StartedAt"]), ""), *stamped(primary)]
    ready = next(at for at, text in lines if READY.match(text))
    return ready - lines[0][0], phases([line for line in lines if line[0] <= ready], BEGINS, ready)


def plain_seconds(made: Containers, image: str, dump: Path) -> tuple[float, str]:
    """From the other's start to its answer by TCP, and what is in it then."""
    script = (engine.FILES / "plain-database.sh").read_bytes()
    container = made.create(
        image,
        entrypoint=["/bin/sh", "/dump/plain-database.sh"],
        files={"/dump/plain-database.sh": script, "/dump/dump.sql.gz": dump.read_bytes()},
        alias="plain",
        environment={"PGDATA": PGDATA},
        volumes={made.volume(): {"bind": PGDATA, "mode": "rw"}},
    )
    os.sync()
    began = time.monotonic()
    container.start()
    engine.wait_until(lambda: listens(made.address(container), 5432), "the plain database to answer", container)
    took = time.monotonic() - began
    return took, try_sql(container, COUNTED)[1]


def stamped(container: Container) -> list[tuple[float, str]]:
    """The lines of a container's log with the engine's time."""
    lines = container.logs(timestamps=True).decode(errors="replace").splitlines()
    return [(epoch_seconds(at), text) for at, _, text in (line.partition(" ") for line in lines)]
