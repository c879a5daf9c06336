"""What becomes of a stack on three nodes when one of them fails, is drained, or comes back."""

from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from tests.support.durations import Took
from tests.support.load import Load, reads
from tests.support.waiting import until
from tests.swarm.lab import Swarm
from tests.swarm.stacks import SwarmStack, deployed

pytestmark = [pytest.mark.swarm, pytest.mark.scenario]

CORES, CLIENTS = 3, 8


@pytest.fixture(scope="module")
def stack(swarm: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwarmStack]:
    """Deploy three cores, of which at least one is on node-3, where nothing else is."""
    nodes = {"primaryNode": "node-2", "replicaNodes": '["node-2"]', "cacheNode": "node-1"}
    with deployed(swarm, tmp_path_factory.mktemp("stack"), cores=CORES, **nodes) as stack:
        yield stack


@pytest.fixture
def session(stack: SwarmStack) -> httpx.Cookies:
    """Return the cookies of a user who has logged in."""
    return stack.log_in(stack.swarm.nodes[0])


def test_a_drained_node_fails_no_request(stack: SwarmStack, session: httpx.Cookies, took: Took) -> None:
    worker = stack.swarm.nodes[2]
    assert stack.cores_on(worker), "nothing of the stack is there"
    with Load(stack.url(stack.swarm.nodes[0]), session, choose=reads, clients=CLIENTS) as load:
        until(lambda: load.answered() > 50, "some requests before")
        stack.swarm.drain(worker)
        with took("cores of a drained node run elsewhere"):
            until(lambda: not stack.cores_on(worker) and stack.all_cores_run(CORES), "the cores to run elsewhere")
    assert not load.failures, f"failed requests: {dict(load.failures)}: {load.first_failure}"
    assert stack.stack.up(), "a node without tasks is not missed"
    stack.swarm.activate(worker)


def test_the_load_survives_a_worker_without_power_but_for_what_it_was_doing(
    stack: SwarmStack, session: httpx.Cookies, took: Took
) -> None:
    # Tasks do not come back to a node by themselves.
    stack.stack.set(javaOptions="-Dround=two")
    stack.stack.up()
    worker = stack.swarm.nodes[2]
    assert stack.cores_on(worker), "nothing of the stack is there"
    with Load(stack.url(stack.swarm.nodes[0]), session, choose=reads, clients=CLIENTS) as load:
        until(lambda: load.answered() > 50, "some requests before")
        worker.cut_power()
        with took("cores of a node without power run elsewhere"):
            until(partial(stack.all_cores_run, CORES), "the cores to run elsewhere")
        served = load.answered()
        until(lambda: load.answered() > served + 100, "some requests after")
    # Each client has one request at a time, and loses the one that a core on the node was answering.
    assert load.failures.total() <= CLIENTS, f"failed requests: {dict(load.failures)}: {load.first_failure}"
    worker.boot()
    stack.swarm.wait_until_ready()
    assert "unchanged" in stack.stack.up(), "the node is back"


def test_the_database_is_back_with_its_node(stack: SwarmStack, took: Took) -> None:
    stack.sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
    node = stack.swarm.nodes[1]
    node.cut_power()
    stack.swarm.wait_until_down(node)
    assert "takes no tasks" in stack.stack.failing_up(), "preflight names the node, and nothing is changed"
    node.boot()
    stack.swarm.wait_until_ready()
    with took("the primary runs again after its node is ready"):
        until(lambda: stack.containers("primary") and stack.services()["primary"] == 1, "the primary to run")
    assert stack.sql("SELECT n FROM kept") == "1"
    stack.stack.up()
