"""A release of the 2.42 line, which cannot build analytics tables on a core that reads from a replica, and the upgrade
to the next line: steps in their order."""

import httpx
import pytest

from tests.e2e.clients import SHORT_CONNECTION_AGE, build_analytics, json_at_core, nodes, readers, reads_return
from tests.e2e.conftest import MakeStack
from tests.e2e.events import ContainerEvents
from tests.support.stack import Stack, log_in
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.simulator]

REPLICA = {"replica-1"}


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, dumps: str) -> Stack:
    """Deploy two cores of 2.42 and a replica."""
    dump = f"{dumps}/small.sql.gz"
    stack = make_stack(**release("2.42.5"), cores=2, replicas=1, dumpUrl=dump, dhisConf=SHORT_CONNECTION_AGE)
    stack.up()
    return stack


@pytest.fixture(scope="module")
def session(stack: Stack) -> httpx.Cookies:
    """Return the cookies of a user who has logged in through the load balancer."""
    return log_in(stack)


def release(version: str) -> dict[str, str]:
    """Return the settings that choose a release of the simulator."""
    return {"version": version, "image": f"dhis2-cluster/dhis2-simulator:{version}"}


def test_core_1_reads_from_the_primary_and_the_other_from_the_replica(stack: Stack, session: httpx.Cookies) -> None:
    until(lambda: nodes(stack, session) == {"core-1", "core-2"}, "both cores to respond")
    assert readers(stack, "core-1", session) == {"primary"}
    assert readers(stack, "core-2", session) == REPLICA


def test_the_analytics_job_completes_through_the_load_balancer(stack: Stack, session: httpx.Cookies) -> None:
    element = stack.sql("SELECT uid FROM dataelement JOIN datavalue USING (dataelementid) LIMIT 1")
    with stack.client(cookies=session) as client:
        job = build_analytics(client)
    assert f"Job completed: inMemoryAnalyticsJob_{job}" in stack.log("core-1"), "core-1 leads"

    stack.wait_sql("SELECT count(*) > 0 FROM analytics", "t", "replica-1")
    rows = json_at_core(stack, "core-2", session, f"/api/analytics?dimension=dx:{element}")["rows"]
    assert rows[0][0] == element, "core-2 reads the new tables"
    assert readers(stack, "core-2", session) == REPLICA


def test_reads_of_core_2_return_to_a_replica_that_was_stopped(stack: Stack, session: httpx.Cookies) -> None:
    stack.container("replica-1").stop(timeout=20)
    until(lambda: readers(stack, "core-2", session) == {"primary"}, "reads from the primary")
    stack.container("replica-1").start()
    stack.wait_healthy("replica-1")
    reads_return(stack, "core-2", session, *REPLICA)


def test_another_version_stops_every_core_before_a_new_one_starts(stack: Stack) -> None:
    old = {stack.containers()[core] for core in ("core-1", "core-2")}
    stack.set(**release("2.43.1"))
    with ContainerEvents(stack, "core") as events:
        stack.up()
    events.assert_replaced(old, 2)
    session = log_in(stack)
    for core in ("core-1", "core-2"):
        assert json_at_core(stack, core, session, "/api/system/info")["version"] == "2.43.1"
        assert readers(stack, core, session) == REPLICA, "in this line every core may read from the replica"


def test_an_older_release_is_refused_on_the_database_of_a_newer_one(stack: Stack) -> None:
    newest = "SELECT version FROM flyway_schema_history ORDER BY installed_rank DESC LIMIT 1"
    before = stack.sql(newest)
    assert before.startswith("2.43."), "the release before has migrated it"
    stack.set(**release("2.42.5"))
    assert f"Detected applied migration not resolved locally: {before}" in stack.failing_up()
    assert stack.sql(newest) == before
