"""Faults caused on a running stack, which recovers by itself."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.clients import SHORT_CONNECTION_AGE, readers, reads_return
from tests.e2e.conftest import MakeStack
from tests.e2e.processes import kill, restarted, started, stopped, until_restarted
from tests.support.durations import Took
from tests.support.load import Load, reads
from tests.support.stack import Stack, log_in
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.simulator]


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, dumps: str) -> Stack:
    """Deploy two cores and a replica."""
    stack = make_stack(cores=2, replicas=1, dumpUrl=f"{dumps}/small.sql.gz", dhisConf=SHORT_CONNECTION_AGE)
    stack.up()
    return stack


@pytest.fixture
def session(stack: Stack) -> httpx.Cookies:
    """Wait until all parts are healthy and return the cookies of a user who has logged in."""
    stack.wait_healthy("lb", "cache", "primary", "replica-1", "core-1", "core-2")
    return log_in(stack)


def test_one_of_two_cores_dies_and_no_read_fails(stack: Stack, session: httpx.Cookies, took: Took) -> None:
    before = started(stack, "core-2")
    with Load(f"http://127.0.0.1:{stack.port}", session) as load:
        until(lambda: load.answered() > 50, "some requests before")
        kill(stack, "core-2")
        with took("the killed core serves again"):
            until_restarted(stack, "core-2", before)
        served = load.answered()
        until(lambda: load.answered() > served + 50, "some requests after")
    assert not load.failed("GET"), f"beside {load.answered()} requests these failed: {dict(load.failures)}"
    lost = sum(load.failures.values())
    assert lost <= 8, f"only what was being written at that moment may be lost: {dict(load.failures)}"


def test_all_cores_die_and_users_see_that_dhis2_is_starting(stack: Stack, session: httpx.Cookies, took: Took) -> None:
    kill(stack, "core-1", "core-2")
    with stack.client(cookies=session) as client, took("a core serves again"):
        # The kernel takes a moment to close what a killed core had open.
        until(lambda: client.get("/api/ping").status_code == 503, "the last connection to a core to be closed")
        page = client.get("/", headers={"Accept": "text/html"})
        answer = client.get("/api/me")
        assert (page.status_code, answer.status_code) == (503, 503)
        assert "starting" in page.text
        assert answer.json()["httpStatusCode"] == 503
        assert "Retry-After" in answer.headers
        until(lambda: client.get("/api/me").status_code == 200, "a core to serve, and the user to be still logged in")
    stack.wait_healthy("core-1", "core-2")


@pytest.mark.long
def test_a_core_that_accepts_and_never_answers_is_restarted_and_no_read_fails(
    stack: Stack, session: httpx.Cookies, took: Took
) -> None:
    before = started(stack, "core-2")
    java = [process for process, command in stack.processes("core-2").items() if command == "java"]
    # A client waits longer than the core lives.
    with Load(f"http://127.0.0.1:{stack.port}", session, choose=reads, request_seconds=120) as load:
        until(lambda: load.answered() > 50, "some requests before")
        os.kill(java[0], signal.SIGSTOP)
        with took("the core that never answers is ended and serves again"):
            until_restarted(stack, "core-2", before)
        served = load.answered()
        until(lambda: load.answered() > served + 50, "some requests after")
    assert not load.failures, f"what waited for it was sent to the other one: {dict(load.failures)}"


def test_the_cache_dies_and_users_stay_logged_in(stack: Stack, session: httpx.Cookies, took: Took) -> None:
    before = started(stack, "cache")
    time.sleep(1.2)  # what is younger than the last write of the log, once a second, may be lost
    kill(stack, "cache")
    with stack.client(cookies=session) as client, took("the killed cache is back, with its sessions"):
        until(lambda: restarted(stack, "cache", before), "the cache to be back")
        until(lambda: client.get("/api/me").status_code == 200, "the session to be known again")


def test_the_replica_dies_and_reads_go_to_the_primary_until_it_is_back(
    stack: Stack, session: httpx.Cookies, took: Took
) -> None:
    cores = {part: started(stack, part) for part in ("core-1", "core-2")}
    before = started(stack, "replica-1")

    with stopped(stack, "replica-1"), took("reads come from the primary"):
        for core in cores:
            until(lambda core=core: readers(stack, core, session) == {"primary"}, f"{core} to read from the primary")  # type: ignore[misc]
    with took("the replica is back"):
        until_restarted(stack, "replica-1", before)
    for core in cores:
        reads_return(stack, core, session, "replica-1")
    assert "base backup" not in stack.log("replica-1").split("started streaming WAL", 1)[1], "it only had to catch up"
    assert {part: started(stack, part) for part in cores} == cores, "no core had to be restarted"


def test_a_core_boots_while_the_replica_is_stopped(stack: Stack, session: httpx.Cookies, took: Took) -> None:
    before = started(stack, "core-2")
    with stopped(stack, "replica-1"):
        kill(stack, "core-2")
        with took("a core boots without the replica"):
            until_restarted(stack, "core-2", before)
    stack.wait_healthy("replica-1")


def test_the_primary_dies_under_writes_and_no_row_it_confirmed_is_lost(
    stack: Stack, session: httpx.Cookies, took: Took
) -> None:
    before = started(stack, "primary")
    stack.sql("CREATE TABLE confirmed (n int)")
    confirmed: set[int] = set()

    def write(number: int) -> None:
        if stack.attempt_sql(f"INSERT INTO confirmed VALUES ({number})")[0] == 0:  # noqa: S608 - a number of our own
            confirmed.add(number)

    with ThreadPoolExecutor(4) as writers:
        writers.map(write, range(200))
        until(lambda: len(confirmed) > 20, "some rows to be confirmed")
        kill(stack, "primary")
        with took("the killed primary is back"):
            until_restarted(stack, "primary", before)
    write(200)
    rows = {int(row) for row in stack.sql("SELECT n FROM confirmed").splitlines()}
    assert confirmed <= rows, "a confirmed row was lost"
    assert 200 in confirmed, "writes go on"
    stack.wait_sql("SELECT count(*) FROM confirmed", str(len(rows)), "replica-1")
    with stack.client(cookies=session) as client:
        until(lambda: client.get("/api/me").status_code == 200, "DHIS2 to have connections again")


def test_everything_dies_at_once_and_recovers_in_any_order(stack: Stack, session: httpx.Cookies, took: Took) -> None:
    parts = ("primary", "core-1", "lb", "replica-1", "cache", "core-2")
    before = {part: started(stack, part) for part in parts}
    kill(stack, *parts)
    with took("all containers are back"):
        for part in parts:
            until_restarted(stack, part, before[part])
    with stack.client(cookies=session) as client:
        assert client.get("/api/me").status_code == 200, "users are still logged in"
    until(lambda: stack.sql("SELECT count(*) FROM pg_stat_replication") == "1", "the replica to stream")
