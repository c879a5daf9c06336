"""Containers, volumes and networks removed by hand come back with a refresh, and no database comes back empty."""

import pytest

from components.orchestrator.container_paths import FILES
from tests.e2e.conftest import MakeStack
from tests.support.commands import execute
from tests.support.durations import Took
from tests.support.stack import ADMIN, Stack, log_in
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.simulator]

ROWS = "SELECT count(*) FROM datavalue"
RESTORED = "the database was restored again"
MIGRATIONS = "SELECT count(*) FROM flyway_schema_history WHERE success"


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, dumps: str) -> Stack:
    """Deploy two cores and a replica with `dockerHost`."""
    stack = make_stack(cores=2, replicas=1, dumpUrl=f"{dumps}/small.sql.gz", dockerHost="unix:///var/run/docker.sock")
    stack.up()
    return stack


def remove_database(stack: Stack, part: str) -> None:
    """Remove the container of a database and its volume."""
    stack.container(part).remove(force=True, v=True)
    stack.docker.volumes.get(f"{stack.prefix}-{part}-data").remove()


def test_a_database_whose_volume_was_removed_is_restored_and_migrated_again(stack: Stack, took: Took) -> None:
    rows, migrations = stack.sql(ROWS), stack.sql(MIGRATIONS)
    cores = {part: stack.container(part).attrs["State"]["StartedAt"] for part in ("core-1", "core-2")}
    with stack.client(cookies=log_in(stack)) as client:
        assert client.get("/api/me").status_code == 200
        remove_database(stack, "primary")
        replica = ("/bin/sh", f"{FILES}/health.sh", "replica")
        until(lambda: execute(stack.container("replica-1"), *replica)[0] != 0, "the replica to be unhealthy")
        with took("up --refresh after the database was removed"):
            text = stack.up("--refresh")
        assert RESTORED in text
        assert client.get("/api/me").status_code != 200, "a session of the database that was removed"
    assert stack.sql(ROWS) == rows
    assert stack.sql(MIGRATIONS) == migrations, "cores that keep running would never migrate it"
    another = "cloning the primary: the primary is another database"
    until(lambda: another in stack.log("replica-1"), "the replica to notice that its data is of another primary")
    stack.wait_sql(ROWS, rows, "replica-1")
    for part, before in cores.items():
        assert stack.container(part).attrs["State"]["StartedAt"] > before
    with stack.client(auth=ADMIN) as client:
        assert client.get("/api/me").status_code == 200
    assert stack.changes() == {}
    assert RESTORED not in stack.up(), "they restart once"


def test_a_replica_whose_volume_was_removed_is_cloned_again(stack: Stack, took: Took) -> None:
    remove_database(stack, "replica-1")
    with took("up --refresh after the replica was removed"):
        stack.up("--refresh")
    stack.wait_sql(ROWS, stack.sql(ROWS), "replica-1")


@pytest.mark.long
def test_a_network_that_was_removed_is_recreated_with_its_containers(stack: Stack, took: Took) -> None:
    network = stack.docker.networks.get(f"{stack.prefix}-app")
    for member in network.containers:
        network.disconnect(member, force=True)
    network.remove()
    with took("up --refresh after a network was removed"):
        stack.up("--refresh")
    with stack.client(auth=ADMIN) as client:
        assert client.get("/api/me").status_code == 200
    stack.must("preview", "--refresh", "--expect-no-changes", "--stack", stack.name)
