"""`dhis2-cluster stop`: the whole stack, in order; its data stays."""

from cli.containers import StackContainers
from cli.options import StackOption
from cli.target import find
from cli.waiting import stages

# The load balancer first: it finishes the requests it has while there are cores.
ORDER = (("lb",), ("core",), ("cache", "replica"), ("primary",))


def stop(stack: StackOption = "") -> None:
    """Stop the whole stack. Its data and containers stay: dhis2-cluster start.

    It stays stopped when the machine is started again.
    """
    containers = StackContainers(find(stack))
    for parts in stages(containers.parts(), ORDER):
        running = [part for part in parts if part.state in ("running", "restarting", "paused")]
        for part in running:
            print(f"stopping {part.part}", flush=True)
        containers.map(containers.stop, running)
    print(f"stack {containers.target.stack} is stopped. Start it: dhis2-cluster start -s {containers.target.stack}")
