"""`dhis2-cluster psql`: a session on the primary or on a replica."""

from typing import Annotated

import typer

from cli.containers import StackContainers
from cli.databases import DATABASE, PSQL
from cli.docker_command import attach
from cli.errors import CommandError
from cli.options import StackOption, complete_part
from cli.target import find

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
    containers = StackContainers(target)
    part = containers.running(name)
    if part.group not in SERVERS:
        known = ", ".join(part.part for part in containers.parts() if part.group in SERVERS)
        raise CommandError(f"{part.part} is no database server. Those of stack {target.stack}: {known}")
    attach(target, part, [*PSQL, *options, DATABASE])
