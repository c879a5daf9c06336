"""Docker Engine is restarted, and its machine loses power: everything comes back by itself, and users stay logged in.

On a Docker Engine of the test's own, with everything that one has started.
"""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeStack
from tests.e2e.docker_engine import DockerEngine
from tests.support.dumps import write_small
from tests.support.durations import Took
from tests.support.http import Answer, ask_inside
from tests.support.project import NGINX, POSTGRES, SIMULATOR, VALKEY
from tests.support.stack import ADMIN, Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.long, pytest.mark.simulator]

PARTS = ("lb", "cache", "primary", "replica-1", "core-1", "core-2")
STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    """Start a Docker Engine with the images of a stack."""
    with DockerEngine() as engine:
        engine.copy((POSTGRES, VALKEY, NGINX, SIMULATOR))
        yield engine


@pytest.fixture(scope="module")
def stack(engine: DockerEngine, make_stack: MakeStack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Deploy two cores and a replica on it."""
    dump: Path = tmp_path_factory.mktemp("dump") / "small.sql.gz"
    write_small(dump)
    stack = make_stack(cores=2, replicas=1, dumpUrl=dump, dockerHost=engine.host)
    stack.docker = engine.client
    stack.up()
    return stack


def ask(stack: Stack, path: str, *options: str) -> Answer:
    """Send a request through the load balancer, whose port this machine does not reach."""
    return ask_inside(stack.container("lb"), path, *options)


def log_in(stack: Stack) -> str:
    """Return the header with the cookie of a user who has logged in."""
    body = f'{{"username": "{ADMIN[0]}", "password": "{ADMIN[1]}"}}'
    answer = ask(stack, "/api/auth/login", "-H", "Content-Type: application/json", "-d", body)
    assert answer.status == 200, answer.text
    return f"Cookie: {answer.headers['set-cookie'].partition(';')[0]}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["restarted", "without power"])
def test_everything_comes_back_with_docker_engine_and_users_stay_logged_in(
    stack: Stack, engine: DockerEngine, number: signal.Signals, took: Took
) -> None:
    stack.wait_healthy(*PARTS)
    session = log_in(stack)
    table = f"written_before_{number.name.lower()}"
    stack.sql(f"CREATE TABLE {table} AS SELECT 1 AS n")
    time.sleep(1.2)  # what is younger than the last write of the cache's log, once a second, may be lost
    before = stack.containers()
    engine.stop(number)
    engine.start()
    stack.docker = engine.client
    with took(f"all containers are healthy after {number.name} to Docker Engine"):
        stack.wait_healthy(*PARTS)
    assert ask(stack, "/api/me", "-H", session).status == 200, "users are still logged in"
    assert stack.sql(f"SELECT n FROM {table}") == "1", "what was committed is there"  # noqa: S608 - a name of our own
    until(lambda: stack.sql(STREAMING) == "1", "the replica to stream")
    stack.sql(f"INSERT INTO {table} VALUES (2)")  # noqa: S608
    stack.wait_sql(f"SELECT count(*) FROM {table}", "2", "replica-1")  # noqa: S608
    assert stack.containers() == before, "nothing had to be deployed again"
    assert stack.changes() == {}
