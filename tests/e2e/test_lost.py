"""What somebody has removed, volumes with data too, comes back with a refresh, and never silently empty."""

import pytest

from tests.e2e.clients import log_in
from tests.e2e.conftest import MakeStack
from tests.e2e.stack import ADMIN, Stack

pytestmark = pytest.mark.e2e

ROWS = "SELECT count(*) FROM datavalue"
MIGRATIONS = "SELECT count(*) FROM flyway_schema_history WHERE success"


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, dumps: str) -> Stack:
    """Two cores and a replica on an engine that is named; deployed."""
    made = make_stack(cores=2, replicas=1, dumpUrl=f"{dumps}/small.sql.gz", dockerHost="unix:///var/run/docker.sock")
    made.up()
    return made


def lose(stack: Stack, part: str) -> None:
    """Remove a database's container and its data."""
    stack.container(part).remove(force=True, v=True)
    stack.engine.volumes.get(f"{stack.prefix}-{part}-data").remove()


def test_a_database_whose_volume_was_lost_is_loaded_and_migrated_again(stack: Stack) -> None:
    rows, migrations = stack.sql(ROWS), stack.sql(MIGRATIONS)
    cores = {part: stack.container(part).attrs["State"]["StartedAt"] for part in ("core-1", "core-2")}
    with stack.client(cookies=log_in(stack)) as client:
        assert client.get("/api/me").status_code == 200
        lose(stack, "primary")
        text = stack.up("--refresh")
        assert "had to be loaded anew" in text
        assert client.get("/api/me").status_code != 200, "a login of the database that was lost"
    assert stack.sql(ROWS) == rows
    assert stack.sql(MIGRATIONS) == migrations, "cores that run on already would never migrate it"
    for part, before in cores.items():
        assert stack.container(part).attrs["State"]["StartedAt"] > before
    with stack.client(auth=ADMIN) as client:
        assert client.get("/api/me").status_code == 200
    assert stack.changes() == {}
    assert "had to be loaded anew" not in stack.up(), "once is enough"


def test_a_replica_whose_volume_was_lost_is_cloned_again(stack: Stack) -> None:
    lose(stack, "replica-1")
    stack.up("--refresh")
    stack.wait_sql(ROWS, stack.sql(ROWS), "replica-1")


def test_a_network_that_was_removed_is_made_again_with_all_that_was_in_it(stack: Stack) -> None:
    network = stack.engine.networks.get(f"{stack.prefix}-app")
    for member in network.containers:
        network.disconnect(member, force=True)
    network.remove()
    stack.up("--refresh")
    with stack.client(auth=ADMIN) as client:
        assert client.get("/api/me").status_code == 200
    stack.must("preview", "--refresh", "--expect-no-changes", "--stack", stack.name)
