"""What must not hurt: each fault is caused on a running stack, which heals with no hand on it.

Processes are killed from outside their containers, as the kernel does it to one that uses too much memory. `docker
kill` would not do: the engine takes that for somebody's wish, and does not start the container again.
"""

import os
import signal
import time

import httpx
import pytest

from tests.e2e.clients import HURRIED, log_in, reads_return
from tests.e2e.conftest import MakeStack
from tests.e2e.load import Load
from tests.e2e.stack import Stack, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, dumps: str) -> Stack:
    """Two cores and a replica; deployed."""
    made = make_stack(cores=2, replicas=1, dumpUrl=f"{dumps}/small.sql.gz", dhisConf=HURRIED)
    made.up()
    return made


@pytest.fixture
def session(stack: Stack) -> httpx.Cookies:
    """The cookies of somebody who has logged in through the load balancer; everything is healthy then."""
    stack.wait_healthy("lb", "cache", "primary", "replica-1", "core-1", "core-2")
    return log_in(stack)


def kill(stack: Stack, *parts: str, number: int = signal.SIGKILL) -> None:
    """Send a signal to all processes of these parts' containers."""
    for process in [each for part in parts for each in stack.processes(part)]:
        try:
            os.kill(process, number)
        except ProcessLookupError:
            continue  # it went with its parent


def restarted(stack: Stack, part: str, before: str) -> bool:
    """Whether a part runs since later than `before`, its start as the engine told it, and is healthy."""
    return bool(stack.container(part).attrs["State"]["StartedAt"] != before) and stack.is_healthy(part)


def started(stack: Stack, part: str) -> str:
    """When a part was started, as the engine tells it."""
    return str(stack.container(part).attrs["State"]["StartedAt"])


def test_one_of_two_cores_dies_and_no_read_fails(stack: Stack, session: httpx.Cookies) -> None:
    before = started(stack, "core-2")
    with Load(f"http://127.0.0.1:{stack.port}", session) as load:
        wait_until(lambda: load.count > 50, "some requests before")
        kill(stack, "core-2")
        wait_until(lambda: restarted(stack, "core-2", before), "core-2 to be back")
        served = load.count
        wait_until(lambda: load.count > served + 50, "some requests after")
    reads = {what: count for what, count in load.failures.items() if what.startswith("GET")}
    assert not reads, f"of {load.count} requests failed: {dict(load.failures)}"
    lost = sum(load.failures.values())
    assert lost <= 8, f"only what was being written at that moment may be lost: {dict(load.failures)}"


def test_all_cores_die_and_people_are_told_that_dhis2_is_starting(stack: Stack, session: httpx.Cookies) -> None:
    kill(stack, "core-1", "core-2")
    with stack.client(cookies=session) as client:
        # The engine takes a moment to close what a killed core had open.
        wait_until(lambda: client.get("/api/ping").status_code == 503, "the last connection to a core to be gone")
        page = client.get("/", headers={"Accept": "text/html"})
        answer = client.get("/api/me")
    assert (page.status_code, answer.status_code) == (503, 503)
    assert "starting" in page.text
    assert answer.json()["httpStatusCode"] == 503
    assert "Retry-After" in answer.headers
    stack.wait_healthy("core-1", "core-2")
    with stack.client(cookies=session) as client:
        assert client.get("/api/me").status_code == 200, "and they are still logged in"


def test_a_core_that_accepts_and_never_answers_is_ended_by_its_own_health_check(
    stack: Stack, session: httpx.Cookies
) -> None:
    before = started(stack, "core-2")
    java = [process for process, command in stack.processes("core-2").items() if command == "java"]
    os.kill(java[0], signal.SIGSTOP)

    def answer() -> int:
        try:
            return client.get("/api/me", timeout=5).status_code
        except httpx.ReadTimeout:
            return 0  # this one went to the core that never answers

    with stack.client(cookies=session) as client:
        assert 200 in [answer() for _ in range(5)], "the other core serves"
    wait_until(lambda: restarted(stack, "core-2", before), "core-2 to be started again")


def test_the_cache_dies_and_everybody_stays_logged_in(stack: Stack, session: httpx.Cookies) -> None:
    before = started(stack, "cache")
    time.sleep(1.2)  # what is younger than the last write of the log, once a second, may be lost
    kill(stack, "cache")
    wait_until(lambda: restarted(stack, "cache", before), "the cache to be back")
    with stack.client(cookies=session) as client:
        wait_until(lambda: client.get("/api/me").status_code == 200, "the session to be known again")


def test_the_replica_dies_and_reads_go_to_the_primary_until_it_is_back(stack: Stack, session: httpx.Cookies) -> None:
    cores = {part: started(stack, part) for part in ("core-1", "core-2")}
    before = started(stack, "replica-1")

    def served_by() -> str:
        with stack.client(cookies=session) as client:
            answer = client.get("/api/dataItems?pageSize=1")
        return str(answer.headers.get("X-DHIS2-Simulator-Served-By", answer.status_code))

    stack.container("replica-1").stop(timeout=20)
    wait_until(lambda: {served_by() for _ in range(4)} == {"primary"}, "reads from the primary")
    stack.container("replica-1").start()
    wait_until(lambda: restarted(stack, "replica-1", before), "the replica to be back")
    for core in cores:
        reads_return(stack, core, session, "postgres-replica-1")
    assert "base backup" not in stack.log("replica-1").split("started streaming WAL", 1)[1], "it only had to catch up"
    assert {part: started(stack, part) for part in cores} == cores, "no core had to be started again"


def test_a_core_boots_while_the_replica_is_away(stack: Stack, session: httpx.Cookies) -> None:
    before = started(stack, "core-2")
    stack.container("replica-1").stop(timeout=20)
    kill(stack, "core-2")
    wait_until(lambda: restarted(stack, "core-2", before), "core-2 to boot on the primary alone")
    stack.container("replica-1").start()
    stack.wait_healthy("replica-1")


def test_the_primary_dies_under_writes_and_no_row_it_confirmed_is_lost(stack: Stack, session: httpx.Cookies) -> None:
    before = started(stack, "primary")
    stack.sql("CREATE TABLE confirmed (n int)")
    written = 0
    for number in range(40):
        if number == 20:
            kill(stack, "primary")
            wait_until(lambda: restarted(stack, "primary", before), "the primary to be back")
        statement = f"INSERT INTO confirmed VALUES ({number})"  # noqa: S608 - a number of our own
        written += stack.attempt_sql(statement)[0] == 0
    assert int(stack.sql("SELECT count(*) FROM confirmed")) == written
    stack.wait_sql("SELECT count(*) FROM confirmed", str(written), "replica-1")
    with stack.client(cookies=session) as client:
        wait_until(lambda: client.get("/api/me").status_code == 200, "DHIS2 to have connections again")


def test_everything_ends_at_once_and_comes_back_in_any_order(stack: Stack, session: httpx.Cookies) -> None:
    parts = ("primary", "core-1", "lb", "replica-1", "cache", "core-2")
    before = {part: started(stack, part) for part in parts}
    kill(stack, *parts)
    for part in parts:
        wait_until(lambda part=part: restarted(stack, part, before[part]), f"{part} to be back")  # type: ignore[misc]
    with stack.client(cookies=session) as client:
        assert client.get("/api/me").status_code == 200, "people are still logged in"
    wait_until(lambda: stack.sql("SELECT count(*) FROM pg_stat_replication") == "1", "the replica to stream")
