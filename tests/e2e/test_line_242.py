"""A release of the 2.42 line, which cannot build analytics tables on a core that reads from a replica, and the change
to the next line; each test goes on where the one before it left the stack."""

import httpx
import pytest

from tests.e2e.clients import HURRIED, log_in, nodes, readers, reads_return, told_by
from tests.e2e.conftest import MakeStack
from tests.e2e.lives import Lives
from tests.e2e.stack import Stack, wait_until

pytestmark = pytest.mark.e2e

REPLICA = {"postgres-replica-1"}


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, dumps: str) -> Stack:
    """Two cores of 2.42 and a replica; deployed."""
    made = make_stack(**release("2.42.5"), cores=2, replicas=1, dumpUrl=f"{dumps}/small.sql.gz", dhisConf=HURRIED)
    made.up()
    return made


@pytest.fixture(scope="module")
def session(stack: Stack) -> httpx.Cookies:
    """The cookies of somebody who has logged in through the load balancer."""
    return log_in(stack)


def release(version: str) -> dict[str, str]:
    """The settings that choose a release of the simulator."""
    return {"version": version, "image": f"dhis2-cluster/dhis2-simulator:{version}"}


def test_core_1_reads_from_the_primary_and_the_other_from_the_replica(stack: Stack, session: httpx.Cookies) -> None:
    wait_until(lambda: nodes(stack, session) == {"core-1", "core-2"}, "both cores to be asked")
    assert readers(stack, "core-1", session) == {"primary"}
    assert readers(stack, "core-2", session) == REPLICA


def test_the_analytics_job_completes_through_the_load_balancer(stack: Stack, session: httpx.Cookies) -> None:
    element = stack.sql("SELECT uid FROM dataelement JOIN datavalue USING (dataelementid) LIMIT 1")
    with stack.client(cookies=session) as client:
        job = client.post("/api/resourceTables/analytics").json()["response"]["id"]

        def shown() -> dict[str, object]:
            return dict(client.get(f"/api/jobConfigurations/{job}").json())

        wait_until(lambda: shown()["lastExecutedStatus"] in ("COMPLETED", "FAILED"), "the job to end")
        assert shown()["lastExecutedStatus"] == "COMPLETED", shown()["errorCodes"]
    assert f"Job completed: inMemoryAnalyticsJob_{job}" in stack.log("core-1"), "core-1 leads"

    def read() -> tuple[object, object]:
        told = told_by(stack, "core-2", session, f"/api/analytics?dimension=dx:{element}")
        return told["source"], told["servedBy"]

    wait_until(lambda: read() == ("analytics", *REPLICA), "core-2 to read the new tables from the replica")


def test_reads_of_core_2_return_to_a_replica_that_was_away(stack: Stack, session: httpx.Cookies) -> None:
    stack.container("replica-1").stop(timeout=20)
    wait_until(lambda: readers(stack, "core-2", session) == {"primary"}, "reads from the primary")
    stack.container("replica-1").start()
    stack.wait_healthy("replica-1")
    reads_return(stack, "core-2", session, *REPLICA)


def test_another_version_stops_every_core_before_a_new_one_starts(stack: Stack) -> None:
    old = {stack.containers()[core] for core in ("core-1", "core-2")}
    stack.set(**release("2.43.1"))
    with Lives(stack, "core") as lives:
        stack.up()
    lives.assert_replaced(old, 2)
    session = log_in(stack)
    for core in ("core-1", "core-2"):
        assert told_by(stack, core, session, "/api/system/info")["version"] == "2.43.1"
        assert readers(stack, core, session) == REPLICA, "this line needs no core without replica"
