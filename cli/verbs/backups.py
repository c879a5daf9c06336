"""`dhis2-cluster backups`: the sets in the repository."""

import json

from rich.console import Console
from rich.table import Table

from cli.backups import BackupSet, sets_of
from cli.options import JsonOption, StackOption
from cli.stacks import open_stack
from cli.target import find


def backups(stack: StackOption = "", as_json: JsonOption = False) -> None:
    """List the backups in the repository, the newest last."""
    target = find(stack)
    sets = sets_of(open_stack(target))
    if as_json:
        print(json.dumps([item.as_json() for item in sets], indent=2))
    elif sets:
        Console().print(_table(sets))
    else:
        print(f"no backups yet. Make one: dhis2-cluster backup -s {target.stack}")


def _table(sets: list[BackupSet]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("BACKUP", "TIME (UTC)", "STACK", "DHIS2", "POSTGRESQL", "NOTES"):
        table.add_column(name, overflow="fold")
    for item in sets:
        noted = (["with analytics tables"] if item.complete else []) + (
            [] if item.secret else ["without encryption.password"]
        )
        noted += [f"files in bucket {item.bucket}"] if item.bucket else []
        time = item.time[:16].replace("T", " ")
        table.add_row(item.set, time, item.stack, item.version, item.postgresql, ", ".join(noted))
    return table
