"""`dhis2-cluster move-files`: uploaded files and apps go to the `fileStore` that is set."""

from typing import Annotated

import typer

from cli.errors import CommandError
from cli.moving import Move, deployed_store, wanted_store
from cli.options import JsonOption, StackOption
from cli.output import confirm, progress, result
from cli.stacks import open_stack
from cli.target import find


def move_files(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    stack: StackOption = "",
    as_json: JsonOption = False,
) -> None:
    """Copy uploaded files and apps to the fileStore that is set, check them, and deploy it.

    The cores run while files are copied and compared, and stop for what came since. Where it fails before pulumi up,
    they start with the files they had. Nothing is removed from where the files were.
    """
    containers = open_stack(find(stack))
    name, source, destination = containers.target.stack, deployed_store(containers), wanted_store(containers)
    if source.same_place(destination):
        raise CommandError(
            f"the cores of stack {name} have their files in {source.name}, as fileStore says. Set where they should be: pulumi config set fileStore … -s {name}"
        )
    progress(
        f"the files of stack {name} are copied from {source.name} to {destination.name}, and pulumi up runs. DHIS2 does not answer from the end of the copy on until then."
    )
    if not yes:
        confirm("Move them?")
    Move(containers, source, destination).run()
    text = f"the files of stack {name} are in {destination.name}; those in {source.name} were not removed"
    result(text, {"stack": name, "from": source.name, "to": destination.name}, as_json)
