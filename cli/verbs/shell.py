"""`dhis2-cluster shell`: a shell, or one command, in the container of a part."""

from typing import Annotated

import typer

from cli.options import StackOption, complete_part
from cli.stacks import open_stack
from cli.target import find

SHELL = ("sh", "-c", "command -v bash >/dev/null && exec bash || exec sh")


def shell(
    part: Annotated[str, typer.Argument(help="Such as core-1, lb, cache, primary.", autocompletion=complete_part)],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND]", help="A command instead of a shell: -- ls /.")
    ] = None,
    stack: StackOption = "",
) -> None:
    """Open a shell in the container of a part, as the user its program runs as."""
    containers = open_stack(find(stack))
    instead = "" if command else f"dhis2-cluster shell {part} -s {containers.target.stack} -- COMMAND"
    containers.attach(containers.running(part), command or SHELL, instead=instead, reads=True)
