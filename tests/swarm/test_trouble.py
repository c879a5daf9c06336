"""What `pulumi up` promises on a swarm of three managers when something is wrong: the steps of one stack."""

import io
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import httpx
import pytest

from tests.support.durations import Took
from tests.support.load import Load
from tests.support.project import NGINX, SIMULATOR
from tests.support.waiting import until
from tests.swarm.lab import Swarm
from tests.swarm.node import Node
from tests.swarm.stacks import SwarmStack, deployed, errors_of

pytestmark = [pytest.mark.swarm, pytest.mark.scenario]

CORES, CLIENTS = 4, 8
# The JVM waits for a debugger.
SUSPENDED = "-agentlib:jdwp=transport=dt_socket,server=y,suspend=y,address=127.0.0.1:5005"


@pytest.fixture(scope="module")
def stack(managers: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwarmStack]:
    """Deploy a core and a load balancer on each node, and on node-2 all that is pinned but the replica."""
    nodes = {"primaryNode": "node-2", "replicaNodes": '["node-3"]', "cacheNode": "node-2"}
    with deployed(managers, tmp_path_factory.mktemp("stack"), cores=CORES, **nodes) as stack:
        yield stack


@pytest.fixture
def session(stack: SwarmStack) -> httpx.Cookies:
    """Return the cookies of a user who has logged in through the load balancer of node-2."""
    return stack.log_in(stack.swarm.nodes[1])


def load_on(stack: SwarmStack, node: Node, session: httpx.Cookies) -> Load:
    """Return clients of the load balancer of a node, half of which write."""
    return Load(stack.url(node), session, clients=CLIENTS, longest_seconds=600)


def goes_on(load: Load, count: int = 100) -> None:
    """Wait until so many more requests were answered."""
    answered = load.answered()
    until(lambda: load.answered() > answered + count, "more requests to be answered")


def test_there_is_a_core_and_a_load_balancer_on_each_node(stack: SwarmStack) -> None:
    assert min(stack.cores_on(node) for node in stack.swarm.nodes) >= 1
    assert sorted(stack.containers("lb")) == ["node-1", "node-2", "node-3"]


def test_a_core_that_cannot_start_fails_up_with_its_log_and_the_others_serve(
    stack: SwarmStack, session: httpx.Cookies
) -> None:
    with load_on(stack, stack.swarm.nodes[2], session) as load:
        goes_on(load)
        stack.stack.set(javaOptions="-XX:NoSuchOption")
        output = stack.stack.failing_up()
        assert "core 1 exited with code 1 on node-" in output, output
        assert "| Unrecognized VM option 'NoSuchOption'" in output, f"the log of the task that failed:\n{output}"
        assert "exited with code 1" in stack.stack.failing_up(), "a second up does not take it for a running one"
        assert stack.services()["core"] == CORES - 1, "the others were not changed"
        goes_on(load)
    assert not load.failures, f"failed requests: {dict(load.failures)}: {load.first_failure}"


def test_a_core_that_never_answers_fails_up_after_the_timeout_and_what_is_set_back_is_deployed(
    stack: SwarmStack, session: httpx.Cookies
) -> None:
    with load_on(stack, stack.swarm.nodes[2], session) as load:
        goes_on(load)
        stack.stack.set(javaOptions=SUSPENDED, readyTimeout=30)
        output = stack.stack.failing_up()
        assert "core 1 was not ready after 30 s (starting on node-" in output, output
        assert "| Listening for transport dt_socket" in output, f"its last log lines:\n{output}"
        assert stack.services()["core"] == CORES - 1, "the others were not changed"
        goes_on(load)
        stack.stack.unset("javaOptions")
        stack.stack.set(readyTimeout=240)
        stack.stack.up()
        assert stack.all_cores_run(CORES)
        goes_on(load)
    assert not load.failures, f"failed requests: {dict(load.failures)}: {load.first_failure}"


@pytest.mark.parametrize(("key", "image"), [("loadBalancerImage", NGINX), ("image", SIMULATOR)])
def test_an_image_that_nodes_lack_fails_up_with_their_names_and_all_that_runs_serves(
    stack: SwarmStack, session: httpx.Cookies, key: str, image: str
) -> None:
    first, *others = stack.swarm.nodes
    on_first = f"{image.partition(':')[0]}:on-one-node"
    with closing(first.client()) as client:
        client.images.build(fileobj=io.BytesIO(f"FROM {image}\nLABEL on=one-node\n".encode()), tag=on_first)
    before = {node.hostname: running_on(stack, node) for node in stack.swarm.nodes}
    with load_on(stack, others[1], session) as load:
        goes_on(load)
        stack.stack.set(**{key: on_first})
        (message,) = errors_of(stack.stack.failing_up())
        goes_on(load)
    assert message.startswith(f"{on_first} does not start on node-2: No such image: sha256:")
    assert ", node-3: No such image: sha256:" in message, "each node that lacks it, and not the first"
    assert {node.hostname: running_on(stack, node) for node in stack.swarm.nodes} == before
    assert not load.failures, f"failed requests: {dict(load.failures)}: {load.first_failure}"
    stack.stack.set(**{key: image})
    stack.stack.up()
    assert {node.hostname: running_on(stack, node) for node in stack.swarm.nodes} == before


def test_the_leader_loses_its_power_and_up_through_another_manager_replaces_nothing(
    stack: SwarmStack, session: httpx.Cookies, took: Took
) -> None:
    leader, survivor, third = stack.swarm.nodes
    assert stack.swarm.leader is leader
    with load_on(stack, third, session) as load:
        goes_on(load)
        leader.cut_power()
        with took("another manager leads after the leader lost its power"):
            until(lambda: stack.swarm.leader not in (None, leader), "another manager to lead")
        with took("the cores of the leader run elsewhere, after that"):
            until(partial(stack.all_cores_run, CORES), "the cores to run elsewhere")
        before = running_on(stack, survivor) | running_on(stack, third)
        stack.stack.set(dockerHost=survivor.docker_host)
        changes = stack.stack.changes()
        assert not changes.keys() & stack.services().keys(), f"no service has another address: {changes}"
        stack.stack.up()
        assert running_on(stack, survivor) | running_on(stack, third) == before
        goes_on(load)
    few_failed(load)
    leader.boot()
    stack.swarm.wait_until_ready()
    until(lambda: len(load_balancers(stack)) == len(stack.swarm.nodes), "its load balancer to run")
    assert not stack.stack.changes()


def test_without_a_quorum_what_runs_goes_on_and_up_changes_nothing(
    stack: SwarmStack, session: httpx.Cookies, took: Took
) -> None:
    first, survivor, third = stack.swarm.nodes
    assert stack.cores_on(survivor), "a core has to be left"
    before = running_on(stack, survivor)
    with load_on(stack, survivor, session) as load:
        goes_on(load)
        for node in (first, third):
            node.cut_power()
        for when in ("at once", "later"):
            with took(f"up ends without a quorum, {when}"):
                (message,) = errors_of(stack.stack.failing_up())
            assert message.startswith(f"the swarm of {survivor.docker_host} has lost its quorum: ")
            goes_on(load)
    few_failed(load)
    assert running_on(stack, survivor) == before
    for node in (first, third):
        node.launch()
    for node in (first, third):
        node.wait()
    stack.swarm.wait_until_ready()
    with took("all cores run after the nodes are back"):
        until(partial(stack.all_cores_run, CORES), "all cores to run")
    assert not stack.stack.changes()
    stack.stack.up()


def load_balancers(stack: SwarmStack) -> dict[str, list[str | None]]:
    """Return the ids of the running load balancers by the host names of their nodes."""
    return {node: [each.id for each in listed] for node, listed in stack.containers("lb").items()}


def running_on(stack: SwarmStack, node: Node) -> set[str | None]:
    """Return the ids of the containers that serve on a node."""
    parts = ("primary", "cache", "core-1", "core", "lb")
    return {each.id for part in parts for each in stack.containers(part).get(node.hostname, [])}


def few_failed(load: Load) -> None:
    """Assert that at most the requests failed that clients had under way: each has one at a time."""
    print(f"{load.answered()} requests were answered, failed: {dict(load.failures)}")
    assert load.failures.total() <= CLIENTS, f"failed requests: {dict(load.failures)}: {load.first_failure}"
