"""`dhis2-cluster start`: the whole stack, in order, until DHIS2 is ready."""

import asyncio

from cli.errors import FAILED, CommandError
from cli.options import JsonOption, StackOption
from cli.output import progress, result
from cli.stacks import open_stack
from cli.target import find
from cli.waiting import stages
from components.orchestrator.watcher import NotReady

# The load balancer first: it serves a page while DHIS2 starts. Then what others need.
ORDER = (("lb", "primary"), ("cache", "replica"), ("core-1",), ("core",))


def start(stack: StackOption = "", as_json: JsonOption = False) -> None:
    """Start a stack that was stopped, and wait until every part is healthy."""
    target = find(stack)
    containers = open_stack(target)
    watcher = containers.watcher()
    one_shot = {item.part for item in containers.inspected() if item.is_one_shot}
    started: list[str] = []
    for parts in stages([part for part in containers.parts() if part not in one_shot], ORDER):
        for part in parts:
            progress(f"starting {part.part}")
        containers.map(containers.start, parts)
        try:
            # DHIS2 serves without backups, and a failed one is unhealthy until the next.
            asyncio.run(watcher.until_ready([part.wait_target for part in parts if part.part != "backup"]))
        except NotReady as error:
            raise CommandError(str(error), FAILED) from error
        started += [part.part for part in parts]
    url = containers.url
    result(f"stack {target.stack} is ready: {url}", {"started": started, "url": url}, as_json)
