"""Faults caused on a running stack, which recovers by itself.

Processes are killed from outside their containers, as by the kernel's OOM killer. After `docker kill` Docker Engine
would not restart the container: it counts as stopped by the user.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from tests.e2e.clients import SHORT_CONNECTION_AGE, readers, reads_return
from tests.e2e.conftest import MakeStack
from tests.support.load import Load
from tests.support.stack import Stack, log_in
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.simulator]


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


def kill(stack: Stack, *parts: str) -> None:
    """Kill all processes of the containers of these parts."""
    for process in [process for part in parts for process in stack.processes(part)]:
        with suppress(ProcessLookupError):  # it exited with its parent
            os.kill(process, signal.SIGKILL)


@contextmanager
def stopped(stack: Stack, part: str) -> Iterator[None]:
    """Keep the container of a part stopped while the context is open."""
    stack.container(part).stop(timeout=20)
    try:
        yield
    finally:
        stack.container(part).start()


def restarted(stack: Stack, part: str, before: str) -> bool:
    """Return whether a part was started after `before` and is healthy."""
    return started(stack, part) != before and stack.is_healthy(part)


def started(stack: Stack, part: str) -> str:
    """Return when a part was started, as Docker Engine reports it."""
    return str(stack.container(part).attrs["State"]["StartedAt"])


def test_one_of_two_cores_dies_and_no_read_fails(stack: Stack, session: httpx.Cookies) -> None:
    before = started(stack, "core-2")
    with Load(f"http://127.0.0.1:{stack.port}", session) as load:
        until(lambda: load.answered() > 50, "some requests before")
        kill(stack, "core-2")
        until(lambda: restarted(stack, "core-2", before), "core-2 to be back")
        served = load.answered()
        until(lambda: load.answered() > served + 50, "some requests after")
    assert not load.failed("GET"), f"beside {load.answered()} requests these failed: {dict(load.failures)}"
    lost = sum(load.failures.values())
    assert lost <= 8, f"only what was being written at that moment may be lost: {dict(load.failures)}"


def test_all_cores_die_and_users_see_that_dhis2_is_starting(stack: Stack, session: httpx.Cookies) -> None:
    kill(stack, "core-1", "core-2")
    with stack.client(cookies=session) as client:
        # The kernel takes a moment to close what a killed core had open.
        until(lambda: client.get("/api/ping").status_code == 503, "the last connection to a core to be closed")
        page = client.get("/", headers={"Accept": "text/html"})
        answer = client.get("/api/me")
    assert (page.status_code, answer.status_code) == (503, 503)
    assert "starting" in page.text
    assert answer.json()["httpStatusCode"] == 503
    assert "Retry-After" in answer.headers
    stack.wait_healthy("core-1", "core-2")
    with stack.client(cookies=session) as client:
        assert client.get("/api/me").status_code == 200, "and they are still logged in"


def test_a_core_that_accepts_and_never_answers_is_restarted(stack: Stack, session: httpx.Cookies) -> None:
    before = started(stack, "core-2")
    java = [process for process, command in stack.processes("core-2").items() if command == "java"]
    os.kill(java[0], signal.SIGSTOP)

    def status() -> int:
        try:
            return client.get("/api/me", timeout=5).status_code
        except httpx.ReadTimeout:
            return 0  # sent to the core that never answers

    with stack.client(cookies=session) as client:
        assert 200 in [status() for _ in range(5)], "the other core serves"
    until(lambda: restarted(stack, "core-2", before), "core-2 to be restarted")


def test_the_cache_dies_and_users_stay_logged_in(stack: Stack, session: httpx.Cookies) -> None:
    before = started(stack, "cache")
    time.sleep(1.2)  # what is younger than the last write of the log, once a second, may be lost
    kill(stack, "cache")
    until(lambda: restarted(stack, "cache", before), "the cache to be back")
    with stack.client(cookies=session) as client:
        until(lambda: client.get("/api/me").status_code == 200, "the session to be known again")


def test_the_replica_dies_and_reads_go_to_the_primary_until_it_is_back(stack: Stack, session: httpx.Cookies) -> None:
    cores = {part: started(stack, part) for part in ("core-1", "core-2")}
    before = started(stack, "replica-1")

    with stopped(stack, "replica-1"):
        for core in cores:
            until(lambda core=core: readers(stack, core, session) == {"primary"}, f"{core} to read from the primary")  # type: ignore[misc]
    until(lambda: restarted(stack, "replica-1", before), "the replica to be back")
    for core in cores:
        reads_return(stack, core, session, "replica-1")
    assert "base backup" not in stack.log("replica-1").split("started streaming WAL", 1)[1], "it only had to catch up"
    assert {part: started(stack, part) for part in cores} == cores, "no core had to be restarted"


def test_a_core_boots_while_the_replica_is_stopped(stack: Stack, session: httpx.Cookies) -> None:
    before = started(stack, "core-2")
    with stopped(stack, "replica-1"):
        kill(stack, "core-2")
        until(lambda: restarted(stack, "core-2", before), "core-2 to boot on the primary alone")
    stack.wait_healthy("replica-1")


def test_the_primary_dies_under_writes_and_no_row_it_confirmed_is_lost(stack: Stack, session: httpx.Cookies) -> None:
    before = started(stack, "primary")
    stack.sql("CREATE TABLE confirmed (n int)")
    written = 0
    for number in range(40):
        if number == 20:
            kill(stack, "primary")
            until(lambda: restarted(stack, "primary", before), "the primary to be back")
        statement = f"INSERT INTO confirmed VALUES ({number})"  # noqa: S608 - a number of our own
        written += stack.attempt_sql(statement)[0] == 0
    assert int(stack.sql("SELECT count(*) FROM confirmed")) == written
    stack.wait_sql("SELECT count(*) FROM confirmed", str(written), "replica-1")
    with stack.client(cookies=session) as client:
        until(lambda: client.get("/api/me").status_code == 200, "DHIS2 to have connections again")


def test_everything_dies_at_once_and_recovers_in_any_order(stack: Stack, session: httpx.Cookies) -> None:
    parts = ("primary", "core-1", "lb", "replica-1", "cache", "core-2")
    before = {part: started(stack, part) for part in parts}
    kill(stack, *parts)
    for part in parts:
        until(lambda part=part: restarted(stack, part, before[part]), f"{part} to be back")  # type: ignore[misc]
    with stack.client(cookies=session) as client:
        assert client.get("/api/me").status_code == 200, "users are still logged in"
    until(lambda: stack.sql("SELECT count(*) FROM pg_stat_replication") == "1", "the replica to stream")
