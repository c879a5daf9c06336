"""`dhis2-cluster restart`: what only a restart of every core makes effective, without a failed request."""

import asyncio
from typing import Annotated

import typer

from cli.errors import FAILED, CommandError
from cli.options import JsonOption, StackOption, complete_part
from cli.output import result
from cli.stacks import open_stack
from cli.target import find
from components.orchestrator.restart import restart_in_turn, restart_one
from components.orchestrator.watcher import NotReady


def restart(
    part: Annotated[
        str,
        typer.Argument(
            help="core (default) or replica: all of them, one after the other. Or one part.",
            autocompletion=complete_part,
        ),
    ] = "core",
    stack: StackOption = "",
    as_json: JsonOption = False,
) -> None:
    """Restart the cores one after the other, each when all others are healthy: no request fails.

    One part that is named, such as core-1 or cache, restarts at once.
    """
    target = find(stack)
    containers = open_stack(target)
    selected = containers.select([part])
    alone = selected[0].part == part
    if part == "core" and len(selected) == 1:
        raise CommandError(
            f"stack {target.stack} has one core, so users would see 'DHIS2 is starting' while it restarts. Add a core first: pulumi config set cores 2 -s {target.stack} && pulumi up -s {target.stack}\n  Or interrupt the service: dhis2-cluster restart {selected[0].part} -s {target.stack}"
        )
    targets = [item.wait_target for item in selected]
    watcher = containers.watcher()
    try:
        asyncio.run(restart_one(watcher, targets[0]) if alone else restart_in_turn(watcher, targets))
    except NotReady as error:
        left = "" if alone else "the restart ends here, the others still run: "
        raise CommandError(f"{left}{error}", FAILED) from error
    names = [item.part for item in selected]
    result(f"restarted and healthy: {', '.join(names)}", {"restarted": names}, as_json)
