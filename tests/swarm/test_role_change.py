"""The primary moves to the node of a replica: in order while its node is up, by promotion where that is away."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.commands import execute, logs
from tests.support.durations import Took
from tests.support.load import Load, reads
from tests.support.waiting import until
from tests.swarm.lab import Swarm
from tests.swarm.node import Node
from tests.swarm.stacks import SwarmStack, deployed
from tests.swarm.writer import Writer

pytestmark = [pytest.mark.swarm, pytest.mark.scenario]

CLIENTS = 4
PASSWORD = "/opt/dhis2-cluster/secrets/app-password"  # noqa: S105 - a path


@pytest.fixture(scope="module")
def stack(swarm: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwarmStack]:
    """Deploy two cores, the primary on the second node and its replica on the third."""
    nodes = {"primaryNode": "node-2", "replicaNodes": '["node-3"]', "cacheNode": "node-1", "lbNodes": '["node-1"]'}
    with deployed(swarm, tmp_path_factory.mktemp("stack"), cores=2, **nodes) as stack:
        yield stack


def databases(stack: SwarmStack) -> dict[str, list[str]]:
    """Return the nodes of the databases that run."""
    return {part: sorted(stack.containers(part)) for part in ("primary", "replica-1")}


def unchanged(stack: SwarmStack) -> None:
    """Assert that another up and a refresh change nothing."""
    assert "unchanged" in stack.stack.up()
    done = stack.stack.pulumi("preview", "--refresh", "--expect-no-changes", "--stack", stack.stack.name)
    assert done.code == 0, f"the swarm reports other values than the program wrote:\n{done.text}"


def app_password(stack: SwarmStack, node: Node) -> str:
    """Return the password that cores have to know for the primary on a node."""
    code, output = execute(stack.containers("primary")[node.hostname][0], "cat", PASSWORD)
    assert code == 0, output
    return output


@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 1)])
def test_a_switch_over_loses_no_committed_row(stack: SwarmStack, took: Took, old: int, new: int) -> None:
    nodes = [node.hostname for node in stack.swarm.nodes]
    assert databases(stack) == {"primary": [nodes[old]], "replica-1": [nodes[new]]}
    stack.stack.set(primaryNode=nodes[new])
    before = stack.container("core-1").id
    with Writer(stack, f"to_{new}") as writer, took("switch-over"):
        until(lambda: len(writer.committed) > 100, "some rows before")
        output = stack.stack.up()
        so_far = len(writer.committed)
        until(lambda: len(writer.committed) > so_far + 100, "some rows after")
    assert f"the primary moves from {nodes[old]} to {nodes[new]}" in output
    assert databases(stack) == {"primary": [nodes[new]], "replica-1": [nodes[old]]}, "each has the other's node"
    assert writer.committed <= writer.rows(), "a committed row is lost"
    until(lambda: writer.committed <= writer.rows("replica-1"), "the rows to arrive at the old primary")
    log = logs(stack.container("replica-1"))
    assert "the primary that was here becomes a replica" in log and "cloning" not in log
    assert stack.container("core-1").id == before, "cores connect again by themselves"
    unchanged(stack)


def test_with_the_old_node_away_the_replica_is_promoted_with_all_it_has(stack: SwarmStack, took: Took) -> None:
    _, old, new = stack.swarm.nodes
    password = app_password(stack, old)
    with Writer(stack, "promoted") as writer:
        until(lambda: len(writer.committed) > 100, "some rows before")
        old.cut_power()
    received = writer.rows("replica-1")
    stack.swarm.wait_until_down(old)
    stack.stack.set(primaryNode=new.hostname)
    with took("promotion"):
        output = stack.stack.up()
    assert f"the node {old.hostname} takes no tasks: the replica on {new.hostname} is promoted" in output
    assert databases(stack) == {"primary": [new.hostname], "replica-1": []}
    assert received and received <= writer.rows(), "a row that the replica had is lost"
    assert app_password(stack, new) != password, "the old primary would accept the new cores"
    assert httpx.get(f"{stack.url(stack.swarm.nodes[0])}/api/ping").status_code == httpx.codes.OK
    assert "unchanged" in stack.stack.up(), "while the node is away"


def test_the_old_primary_comes_back_as_a_replica(stack: SwarmStack) -> None:
    _, old, new = stack.swarm.nodes
    old.boot()
    stack.swarm.wait_until_ready()
    assert databases(stack) == {"primary": [new.hostname], "replica-1": []}, "no second primary"
    stack.stack.up()
    assert databases(stack) == {"primary": [new.hostname], "replica-1": [old.hostname]}
    stack.sql("INSERT INTO promoted VALUES (-1)")
    until(lambda: stack.sql("SELECT count(*) FROM promoted WHERE n = -1", "replica-1") == "1", "the row to arrive")
    assert "cloning the primary" in logs(stack.container("replica-1")), "it may have WAL that no replica has received"
    unchanged(stack)


def test_a_primary_that_was_cut_off_refuses_the_cores_of_the_new_one_and_ends(stack: SwarmStack) -> None:
    _, new, old = stack.swarm.nodes
    old.disconnect()
    stack.swarm.wait_until_down(old)
    stack.stack.set(primaryNode=new.hostname)
    stack.stack.up()
    assert set(stack.containers("primary")) == {new.hostname, old.hostname}, "the one that is cut off runs on"
    assert app_password(stack, old) != app_password(stack, new)
    session = stack.log_in(stack.swarm.nodes[0])
    with Load(stack.url(stack.swarm.nodes[0]), session, choose=reads, clients=CLIENTS) as load:
        old.connect()
        stack.swarm.wait_until_ready()
        until(lambda: set(stack.containers("primary")) == {new.hostname}, "the old primary to end")
    # The load balancer finds a core that was cut off until the swarm ends it: each client may lose a request.
    assert load.failures.total() <= CLIENTS, f"failed requests: {dict(load.failures)}: {load.first_failure}"
    stack.stack.up()
    assert databases(stack) == {"primary": [new.hostname], "replica-1": [old.hostname]}


def test_a_node_without_a_replica_is_no_place_for_the_primary(stack: SwarmStack) -> None:
    stack.stack.set(primaryNode="node-1")
    assert "node-1 has no replica that could take its place" in stack.stack.failing_up()
    stack.stack.set(primaryNode="node-2")
    unchanged(stack)
