"""A cache that lost its sessions, is full or down: `pulumi up` reports the part that has the fault."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from components.orchestrator.container_paths import FILES
from tests.e2e.clients import until_reconnected
from tests.e2e.conftest import MakeStack
from tests.support.stack import Stack, log_in
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.simulator]

DROPPED = "could not load its AOF"
LOG_IN = (httpx.codes.FOUND, httpx.codes.UNAUTHORIZED)  # to the login page


@pytest.fixture(scope="module")
def deployed(make_stack: MakeStack) -> Stack:
    """Deploy two cores."""
    stack = make_stack(cores=2, replicas=0, dumpUrl="none")
    stack.up()
    return stack


@pytest.fixture
def stack(deployed: Stack) -> Stack:
    """Wait until all parts are healthy."""
    deployed.wait_healthy("lb", "cache", "primary", "core-1", "core-2")
    return deployed


def status(stack: Stack, session: httpx.Cookies) -> int:
    """Return the status of a request of a user who has logged in."""
    with stack.client(cookies=session) as client:
        return client.get("/api/me").status_code


@contextmanager
def down(stack: Stack, part: str) -> Iterator[None]:
    """Keep a part stopped while the context is open, and restart core-1 without it."""
    stack.container(part).stop(timeout=60)
    try:
        stack.container("core-1").restart(timeout=60)
        yield
    finally:
        stack.container(part).start()


def fill(stack: Stack) -> None:
    """Write to the cache until it refuses, and wait until Docker reports it as unhealthy."""
    write = r"""EVAL \"redis.call('SET', 'filler:$i', string.rep('x', 1048576))\" 0"""
    script = f'. {FILES}/client.sh; for i in $(seq 100); do echo "{write}"; done | client'
    assert "OOM command not allowed" in stack.inside("cache", "sh", "-c", script)
    until(lambda: "unhealthy" in str(stack.container("cache").attrs["State"]["Health"]), "the cache to be unhealthy")


def test_a_damaged_aof_costs_the_sessions_and_up_warns_once(stack: Stack) -> None:
    session = log_in(stack)
    assert status(stack, session) == 200
    before = stack.container("cache").attrs["State"]["StartedAt"]
    stack.inside("cache", "sh", "-c", "dd if=/dev/zero of=$(ls /data/*/*.incr.aof) bs=1 count=100 conv=notrunc")
    stack.container("cache").restart(timeout=20)
    stack.wait_healthy("cache")
    assert stack.container("cache").attrs["State"]["StartedAt"] != before
    assert stack.log("cache").count("all sessions are dropped, users have to log in again") == 1
    until(lambda: status(stack, session) in LOG_IN, "the user to have to log in again")
    assert status(stack, log_in(stack)) == 200
    assert DROPPED in stack.up(), "the person at the keyboard sees why users complain"
    assert DROPPED not in stack.up(), "and sees it once"


def test_a_server_that_cannot_read_the_aof_starts_empty_in_that_up(stack: Stack) -> None:
    session = log_in(stack)
    stack.inside("cache", "sh", "-c", "printf 0099 | dd of=$(ls /data/*/*.base.rdb) bs=1 seek=5 conv=notrunc")
    stack.set(cacheMemory=80)  # another container, as with another cacheImage
    text = stack.up()
    assert DROPPED in text, f"the AOF is of a newer server:\n{text}"
    until_reconnected(stack, session, "core-1", "core-2")
    assert status(stack, session) in LOG_IN
    assert status(stack, log_in(stack)) == 200


def test_a_full_cache_fails_up_with_the_command_that_helps_at_once(stack: Stack) -> None:
    session = log_in(stack)
    fill(stack)
    text = stack.failing_up()
    assert "the cache is unhealthy: the cache is full (" in text, text
    assert "pulumi config set cacheMemory 160 && pulumi up" in text
    assert "core 1 " not in text and "readyTimeout" not in text, f"the cores only suffer from it:\n{text}"
    stack.set(cacheMemory=160)
    stack.up()
    until_reconnected(stack, session, "core-1", "core-2")
    assert status(stack, session) == 200, "users stay logged in"
    assert status(stack, log_in(stack)) == 200


@pytest.mark.parametrize(("part", "display_name"), [("cache", "the cache"), ("primary", "the primary database")])
def test_up_reports_the_part_that_is_down_and_not_the_core_that_cannot_boot_without_it(
    stack: Stack, part: str, display_name: str
) -> None:
    with down(stack, part):
        text = stack.failing_up()
    assert f"{display_name} exited with code" in text, text
    assert "core 1 exited" not in text and "core 1 was" not in text, f"it only suffers from it:\n{text}"
    assert "pulumi up --refresh" in text, "the command that starts it"
