"""`dhis2-cluster psql`: a session on the primary or on a replica."""

import re
from typing import Annotated

import typer

from cli.databases import DATABASE, PSQL
from cli.errors import CommandError
from cli.options import StackOption, complete_part
from cli.stacks import open_stack
from cli.target import find

ONE_COMMAND = re.compile("-[A-Za-z]*[cfl]|--(command|file|list)")  # with them psql opens no session
SERVERS = ("primary", "replica")


def psql(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PART] [-- OPTIONS]",
            help="primary (default) or replica-1, then options of psql: -- -Atc 'SELECT now()'.",
            autocompletion=complete_part,
        ),
    ] = None,
    stack: StackOption = "",
) -> None:
    """Open psql in DHIS2's database, as superuser."""
    words = arguments or []
    named = bool(words) and not words[0].startswith("-")
    name, options = (words[0], words[1:]) if named else ("primary", words)
    target = find(stack)
    containers = open_stack(target)
    part = containers.running(name)
    if part.group not in SERVERS:
        known = ", ".join(part.part for part in containers.parts() if part.group in SERVERS)
        raise CommandError(f"{part.part} is no database server. Those of stack {target.stack}: {known}")
    instead = f"dhis2-cluster psql {part.part} -s {target.stack} -- -c 'SELECT …'"
    is_session = not any(map(ONE_COMMAND.match, options))
    reads = is_session or "-" in options
    containers.attach(part, [*PSQL, *options, DATABASE], instead=instead if is_session else "", reads=reads)
