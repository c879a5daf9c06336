"""`dhis2-cluster stop`: the whole stack, in order; its data stays."""

from cli.options import JsonOption, StackOption
from cli.output import progress, result
from cli.stacks import open_stack
from cli.target import find
from cli.waiting import stages

# The load balancer first: it finishes the requests it has while there are cores.
ORDER = (("lb", "certificates", "backup"), ("core",), ("cache", "replica"), ("primary",))


def stop(stack: StackOption = "", as_json: JsonOption = False) -> None:
    """Stop the whole stack. Its data and containers stay: dhis2-cluster start.

    It stays stopped when the machine is started again.
    """
    containers = open_stack(find(stack))
    stopped: list[str] = []
    for parts in stages(containers.parts(), ORDER):
        running = [part for part in parts if part.state in ("running", "restarting", "paused")]
        for part in running:
            progress(f"stopping {part.part}")
        containers.map(containers.stop, running)
        stopped += [part.part for part in running]
    stack = containers.target.stack
    result(f"stack {stack} is stopped. Start it: dhis2-cluster start -s {stack}", {"stopped": stopped}, as_json)
