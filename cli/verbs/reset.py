"""`dhis2-cluster reset`: back to the dump, also where it is the one the database was restored from."""

from typing import Annotated

import typer

from cli.backups import fatal_of
from cli.deployed import DeployedStack
from cli.errors import CommandError
from cli.exchange import REQUEST, Exchange
from cli.options import JsonOption, StackOption
from cli.output import confirm, progress, result
from cli.stacks import open_stack
from cli.target import find


def reset(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    stack: StackOption = "",
    as_json: JsonOption = False,
) -> None:
    """Restore the dump again: all data entered since are lost. Uploaded files and apps stay.

    Refused with keepData. All cores stop before it and start after it, the first one alone. The present database stays
    until the new one is whole.
    """
    containers = open_stack(find(stack))
    name, dump = containers.target.stack, _resettable(containers)
    progress(
        f"all data of stack {name} are replaced by {dump}. DHIS2 does not answer meanwhile, and users have to log in again."
    )
    if not yes:
        confirm("Reset it?")
    exchange = Exchange(containers)
    exchange.run(lambda: exchange.restore_database("dump"))
    text = f"stack {name} is reset to {dump}: {containers.url}"
    result(text, {"stack": name, "dump": dump}, as_json)


def _resettable(containers: DeployedStack) -> str:
    """Return what a stack can be reset to. Raises CommandError where its data are kept, or its dump is not there."""
    stack = containers.target.stack
    containers.running("cache")
    primary = containers.running("primary")
    deployed = containers.environment(primary)
    if containers.target.settings.keep_data or deployed.get("KEEP_DATA") == "true":
        raise CommandError(
            f"keepData is true, and a reset loses the data of stack {stack}. To go back to a backup: dhis2-cluster restore -s {stack}. To lose them: pulumi config set keepData false -s {stack} && pulumi up -s {stack}, then dhis2-cluster reset -s {stack}"
        )
    code, output = containers.execute(primary, [*REQUEST, "check-dump"])
    if code:
        raise CommandError(fatal_of(output))
    return "a blank database" if deployed.get("DUMP_KEY") == "none" else f"the dump {deployed.get('DUMP_NAME')}"
