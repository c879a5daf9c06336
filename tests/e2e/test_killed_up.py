"""A first `pulumi up` that is interrupted or loses a process, at points spread over it: the next one completes, and a
`destroy` leaves nothing.

The points are steps of the report: a create that begins or ends. What is killed while a create has just begun leaves an
object that Pulumi has not recorded.
"""

import signal
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import MakeStack
from tests.e2e.runs import DOCKER_PROVIDER, LANGUAGE_HOST, RunningUp
from tests.support.durations import Took
from tests.support.stack import ADMIN, Stack
from tests.support.waiting import until
from tools.recovery import recover

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.simulator]

CLI = ()
KILLS = {
    "interrupted CLI": (CLI, signal.SIGINT),
    "killed CLI": (CLI, signal.SIGKILL),
    "killed language host": (LANGUAGE_HOST, signal.SIGKILL),
    "killed provider": (DOCKER_PROVIDER, signal.SIGKILL),
}
PERCENTS = (10, 30, 50, 70, 90)


def points(*always: tuple[str, int]) -> list[object]:
    """Return all kills at all points as parameters; those that are not `always` tested are long."""
    return [
        pytest.param(
            kill, percent, marks=[] if (kill, percent) in always else pytest.mark.long, id=f"{kill} at {percent}%"
        )
        for kill in KILLS
        for percent in PERCENTS
    ]


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, dumps: str) -> Stack:
    """Initialise a stack with a core and a replica."""
    return make_stack(cores=1, replicas=1, dumpUrl=f"{dumps}/small.sql.gz")


@pytest.fixture(scope="module")
def steps(stack: Stack) -> int:
    """Return how many steps a cold start has: each create begins and ends."""
    return 2 * len(stack.changes())


@pytest.fixture
def cold(stack: Stack) -> Iterator[Stack]:
    """Return the stack while nothing of it exists, and destroy it after a test that failed."""
    assert stack.leftovers() == []
    yield stack
    if stack.leftovers():
        stack.pulumi("destroy", "--yes", "--skip-preview", "--stack", stack.name)
        stack.remove()


def killed_up(stack: Stack, kill: str, step: int) -> None:
    """Start a cold `up`, lose a process at a step, and clean up as `make recover` does."""
    process, number = KILLS[kill]
    with RunningUp(stack) as up:
        until(lambda: up.steps() >= step, f"step {step}", too_late=up.exited)
        up.kill(process, number)
        up.code()
    recover(stack.environment, stack.name, "unix:///var/run/docker.sock")


@pytest.mark.parametrize(
    ("kill", "percent"),
    points(("killed provider", 30)),
)
def test_an_up_that_was_killed_is_completed_by_the_next(
    cold: Stack, steps: int, kill: str, percent: int, took: Took
) -> None:
    killed_up(cold, kill, steps * percent // 100)
    with took(f"up after {kill} at {percent} %"):
        cold.up()
    with cold.client(auth=ADMIN) as client:
        assert client.get("/api/me").status_code == 200
    assert cold.outputs()["url"] == f"http://127.0.0.1:{cold.port}"
    cold.wait_sql("SELECT count(*) FROM datavalue", cold.sql("SELECT count(*) FROM datavalue"), "replica-1")
    assert cold.changes() == {}
    cold.destroy()
    assert cold.leftovers() == []


@pytest.mark.parametrize(("kill", "percent"), points(("killed CLI", 50)))
def test_destroy_right_after_a_killed_up_leaves_nothing(
    cold: Stack, steps: int, kill: str, percent: int, took: Took
) -> None:
    killed_up(cold, kill, steps * percent // 100)
    with took(f"destroy after {kill} at {percent} %"):
        cold.destroy()
    assert cold.leftovers() == []
