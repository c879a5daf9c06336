"""Replacement of all cores at once: the order of deletions, and a way on after an update that failed."""

import pytest

from tests.e2e.conftest import MakeStack
from tests.e2e.events import ContainerEvents
from tests.support.stack import ADMIN, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.simulator]

CORES = ("core-1", "core-2")


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    """Deploy two cores on a blank database."""
    stack = make_stack(cores=2, replicas=0, dumpUrl="none")
    stack.up()
    return stack


def test_another_dump_deletes_both_cores_before_the_primary(stack: Stack, dumps: str) -> None:
    before = stack.containers()
    old = {before[core] for core in CORES}
    stack.set(dumpUrl=f"{dumps}/small.sql.gz")
    with ContainerEvents(stack, "core") as cores, ContainerEvents(stack, "postgres-primary") as primary:
        stack.up()
    cores.assert_replaced(old, 2)
    last_core = max(cores.exited[core] for core in old)
    assert last_core < primary.exited[before["primary"]], "a core wrote to a database that was being replaced"


def test_a_failed_update_with_another_provider_is_not_the_last(stack: Stack) -> None:
    # The default provider becomes an explicit one, as it becomes another one when the plugin's version changes.
    stack.set(dockerHost="unix:///var/run/docker.sock", javaOptions="-XX:NoSuchOption", dumpUrl="none")
    assert "NoSuchOption" in stack.failing_up()
    stack.must("config", "rm", "javaOptions", "--stack", stack.name)
    stack.set(image="dhis2-cluster/dhis2-simulator:2.42.5", version="2.42.5")
    stack.up()
    with stack.client(auth=ADMIN) as client:
        assert client.get("/api/system/info").json()["version"].startswith("2.42.5")
    assert stack.changes() == {}
