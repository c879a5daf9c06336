"""`dhis2-cluster restore`: bring a set back, into its stack or another one."""

from typing import Annotated

import typer

from cli.backups import BackupSet, choose, sets_of
from cli.deployed import DeployedStack
from cli.errors import CommandError
from cli.options import JsonOption, StackOption, complete_stack
from cli.output import confirm, progress, result
from cli.restoring import Restore
from cli.stacks import open_stack
from cli.target import find


def restore(  # noqa: PLR0917 - typer passes them by name
    backup: Annotated[
        str, typer.Argument(help="The id of a backup, see dhis2-cluster backups, or latest: the stack's newest.")
    ] = "latest",
    into: Annotated[
        str,
        typer.Option(
            "--into",
            metavar="STACK",
            help="Restore into another stack.",
            show_default=False,
            autocompletion=complete_stack,
        ),
    ] = "",
    database_only: Annotated[bool, typer.Option("--database-only", help="Leave the present files.")] = False,
    files_only: Annotated[bool, typer.Option("--files-only", help="Leave the present database.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    stack: StackOption = "",
    as_json: JsonOption = False,
) -> None:
    """Restore a backup: the present database and files are replaced by those of the backup, also with keepData.

    All cores stop before it and start after it, the first one alone. The present database stays until the new one is
    whole.
    """
    if database_only and files_only:
        raise CommandError("--database-only and --files-only exclude each other: without both, everything is restored")
    source = open_stack(find(stack))
    destination = open_stack(find(into)) if into else source
    chosen = choose(sets_of(source), backup, source)
    parts = "database" if database_only else "files" if files_only else "all"
    restoring = Restore(source, destination, chosen, parts)
    restoring.check()
    progress(_summary(chosen, destination, restoring.restored))
    for warning in restoring.warnings():
        progress(f"warning: {warning}")
    if not yes:
        confirm("Restore it?")
    restoring.run()
    name = destination.target.stack
    text = f"backup {chosen.set} is restored into stack {name}: {destination.url}"
    result(text, {"set": chosen.set, "stack": name, "parts": restoring.restored}, as_json)


def _summary(chosen: BackupSet, destination: DeployedStack, parts: str) -> str:
    replaced = {"all": "database and files", "database": "database", "files": "files"}[parts]
    made = f"{chosen.set} of {chosen.stack}, made {chosen.time[:16].replace('T', ' ')} UTC with DHIS2 {chosen.version}"
    return f"backup {made}, replaces the {replaced} of stack {destination.target.stack}. DHIS2 does not answer meanwhile, and users have to log in again."
