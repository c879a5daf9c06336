"""`dhis2-cluster backup`: back the stack up now."""

from typing import Annotated

import typer

from cli.backups import BACKUP, backup_part, bucket_of
from cli.errors import FAILED, CommandError
from cli.options import JsonOption, StackOption
from cli.output import result
from cli.stacks import open_stack
from cli.target import find


def backup(
    everything: Annotated[
        bool, typer.Option("--all", help="With the rows of analytics and resource tables, which DHIS2 can build again.")
    ] = False,
    stack: StackOption = "",
    as_json: JsonOption = False,
) -> None:
    """Back up database and files into the repository, also beside the schedule."""
    target = find(stack)
    containers = open_stack(target)
    part, bucket = backup_part(containers), bucket_of(containers)
    code, made = containers.follow(part, [*BACKUP, "create", *(["--all"] if everything else [])])
    if code:
        raise CommandError(f"the backup of stack {target.stack} has failed; the lines above have the reason", FAILED)
    left_out = f"; uploaded files and apps are in the bucket {bucket}, and not in it" if bucket else ""
    text = f"backup {made} of stack {target.stack} is complete{left_out}"
    result(text, {"set": made} | ({"bucket": bucket} if bucket else {}), as_json)
