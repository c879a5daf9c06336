"""The options and arguments that several verbs have, and how a shell completes them."""

from pathlib import Path
from typing import Annotated

import typer

from cli.deployed import REPORTED
from cli.errors import CommandError
from cli.parts import names_of
from cli.stacks import open_stack
from cli.target import find, project_folder, stack_names


def complete_stack(incomplete: str) -> list[str]:
    """Return the stacks with a stack file whose names begin like this."""
    return [name for name in stack_names(project_folder(Path.cwd())) if name.startswith(incomplete)]


def complete_part(context: typer.Context, incomplete: str) -> list[str]:
    """Return the stack's parts whose names begin like this; none where Docker Engine does not answer."""
    try:
        parts = open_stack(find(context.params.get("stack") or "")).parts()
    except (CommandError, *REPORTED):
        return []
    return [name for name in names_of(parts) if name.startswith(incomplete)]


StackOption = Annotated[
    str,
    typer.Option(
        "--stack",
        "-s",
        metavar="STACK",
        help="Another stack than the selected one.",
        show_default=False,
        autocompletion=complete_stack,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
