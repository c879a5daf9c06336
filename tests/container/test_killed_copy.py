"""Primaries that are killed while they keep a copy of their database or start from one, and copies that fail."""

import pytest

from tests.container.dump_cache import KEPT, NOT_KEPT, ROW, STARTED, DumpCache
from tests.support.commands import logs, shell_output, sql
from tests.support.waiting import until

pytestmark = pytest.mark.container


def pausing(command: str, part: str, *, after: bool = False) -> str:
    """Return a script in the place of a command that waits, before or after it runs, where an argument has a part."""
    pause = "{ : >/tmp/reached; sleep 900; }"
    run = f'command -p {command} "$@"'
    matches = f'case "$*" in *{part}*)'
    if after:
        return f"#!/bin/bash\n{run} || exit\n{matches} {pause} ;; esac\n"
    return f"#!/bin/bash\n{matches} {pause} ;; esac\n{run}\n"


def half_copied(folder: str) -> str:
    """Return a `cp` that waits when it has copied half of the files of a data directory into a folder."""
    run = 'command -p cp "$@"'
    halve = f"find {folder} -type f | awk 'NR % 2' | xargs rm; : >/tmp/reached; sleep 900"
    return f'#!/bin/bash\n{run} || exit\ncase "$*" in */dumps/copies/*) {halve} ;; esac\n'


# Where a primary is killed: the command that waits there, and the script in its place.
KILLS = {
    "before the directories": ("xargs", pausing("xargs", "mkdir")),
    "half copied": ("cp", half_copied("/dumps/copies/*.part")),
    "before the disk has it": ("sync", pausing("sync", "/dumps/copies/")),
    "before it is complete": ("mv", pausing("mv", "/dumps/copies/")),
    "after it is complete": ("mv", pausing("mv", "/dumps/copies/", after=True)),
}


@pytest.mark.parametrize("point", KILLS)
def test_a_primary_killed_while_it_keeps_a_copy_leaves_no_half_copy(cache: DumpCache, point: str) -> None:
    name, (command, script) = point.replace(" ", "-"), KILLS[point]
    before, volume = cache.copies(), cache.containers.volume()
    killed_at(cache, name, volume, {command: script})
    assert len(cache.copies() - before) == (1 if point == "after it is complete" else 0)
    assert sql(cache.restored(name, volume=volume), ROW) == name
    assert cache.unfinished() == set()
    another = cache.restored(name)
    # Once the database is marked as restored, a killed primary does not restore it again.
    assert (KEPT if point in ("before the disk has it", "before it is complete") else STARTED) in logs(another)
    assert sql(another, ROW) == name
    assert len(cache.copies() - before) == 1


@pytest.mark.parametrize(
    ("point", "commands"),
    [
        ("half copied back", {"cp": half_copied("/var/lib/postgresql/staging/pgdata")}),
        ("before pg_control is changed", {"dd": pausing("dd", "pg_control")}),
        ("when pg_control is changed", {"dd": pausing("dd", "pg_control", after=True)}),
    ],
)
def test_a_primary_killed_while_it_starts_from_a_copy_begins_again(
    cache: DumpCache, point: str, commands: dict[str, str]
) -> None:
    name, volume = point.replace(" ", "-"), cache.containers.volume()
    cache.restored(name)
    killed_at(cache, name, volume, commands)
    primary = cache.restored(name, volume=volume)
    assert STARTED in logs(primary)
    assert sql(primary, ROW) == name


def killed_at(cache: DumpCache, name: str, volume: str, commands: dict[str, str]) -> None:
    """Start a primary and kill it where one of the commands waits."""
    cache.fetched(name)
    primary = cache.primary(name, volume, commands=commands)
    until(lambda: shell_output(primary, "ls /tmp").split().count("reached"), "the command", container=primary)
    primary.kill()
    cache.containers.remove(primary)


@pytest.mark.parametrize("command", ["cp", "sync", "du", "mv"])
def test_a_copy_that_fails_costs_no_database(cache: DumpCache, command: str) -> None:
    fails = f"case \"$*\" in *dumps*) echo '{command} has failed' >&2; exit 1 ;; esac"
    script = f'#!/bin/bash\n{fails}\ncommand -p {command} "$@"\n'
    primary = cache.restored(f"failing-{command}", commands={command: script})
    assert f"{NOT_KEPT}{command} has failed" in logs(primary), logs(primary)
    assert sql(primary, ROW) == f"failing-{command}"
