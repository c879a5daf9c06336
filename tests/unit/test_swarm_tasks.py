"""Services of a swarm evaluated by their tasks: ready, still on their way, or failed and why."""

import copy

import pytest

from components.orchestrator.container_state import START, Condition, Evaluation
from components.orchestrator.swarm.tasks import current_tasks, evaluate_service, stuck
from tests.support.swarm import HOSTS, Json, a_service, a_task

HEALTHY, COMPLETED = Condition.SERVICE_HEALTHY, Condition.SERVICE_COMPLETED_SUCCESSFULLY
READY = Evaluation(ready=True)
NO_NODE = "no suitable node (scheduling constraints not satisfied on 3 nodes)"
UNHEALTHY = "task: non-zero exit (137): dockerexec: unhealthy container"
CONVERGING = "0 of 1 tasks run, 0 others have not ended"


def evaluated(
    service: Json, *tasks: Json, condition: Condition = HEALTHY, known: frozenset[str] = frozenset()
) -> Evaluation:
    return evaluate_service(service, tasks, HOSTS, condition, known)


def older(task: Json) -> Json:
    """Return a task of the spec before the last update."""
    changed = copy.deepcopy(task)
    changed["Spec"]["ContainerSpec"]["Image"] = "app@sha256:0"
    return {**changed, "ID": "older", "CreatedAt": "2026-05-01T11:00:00Z"}


def updating(state: str, message: str = "update in progress") -> Json:
    return a_service(UpdateStatus={"State": state, "Message": message})


@pytest.mark.parametrize(
    ("task", "evaluation"),
    [
        (a_task("running"), READY),
        (a_task("starting"), Evaluation(status="starting on db-1")),
        (a_task("preparing", NodeID="id-3"), Evaluation(status="preparing on app-1")),
        (a_task("assigned"), Evaluation(status="assigned on db-1")),
        (a_task("ready", desired="ready"), Evaluation(status="ready on db-1")),
        (a_task("pending", NodeID="", error=NO_NODE), Evaluation(status=f"pending: {NO_NODE}")),
        (a_task("new", NodeID=""), Evaluation(status="new")),
        (a_task("running", NodeID="unknown"), READY),
        (
            a_task("failed", "shutdown", code=3, error="task: non-zero exit (3)"),
            Evaluation(reason="exited with code 3 on db-1"),
        ),
        (
            a_task("failed", "shutdown", code=137, error=UNHEALTHY),
            Evaluation(reason="exited with code 137 as unhealthy on db-1"),
        ),
        (
            a_task("rejected", "shutdown", error="No such image: app"),
            Evaluation(reason="did not start on db-1: No such image: app"),
        ),
        (a_task("rejected", "shutdown", code=1), Evaluation(reason="did not start on db-1: rejected")),
        (a_task("orphaned", "shutdown", NodeID="gone"), Evaluation(reason="did not start: orphaned")),
        (a_task("shutdown", "shutdown"), Evaluation(status=CONVERGING)),
        (a_task("complete", "shutdown"), Evaluation(status=CONVERGING)),
    ],
)
def test_a_service_is_evaluated_by_its_task(task: Json, evaluation: Evaluation) -> None:
    assert evaluated(a_service(), task) == evaluation


def test_a_service_without_a_task_is_still_on_its_way() -> None:
    assert evaluated(a_service()) == Evaluation(status=CONVERGING)


def test_all_tasks_have_to_run() -> None:
    service = a_service(3)
    running = [a_task(ID=str(number)) for number in range(3)]
    assert evaluated(service, *running) == READY
    assert evaluated(service, *running[:2]) == Evaluation(status="2 of 3 tasks run, 0 others have not ended")
    waiting = a_task("preparing", ID="3", NodeID="id-2")
    assert evaluated(service, *running[:2], waiting) == Evaluation(status="preparing on db-2")


def test_one_task_that_fails_is_enough() -> None:
    failed = a_task("failed", "shutdown", ID="2", NodeID="id-2", code=1)
    expected = Evaluation(reason="exited with code 1 on db-2")
    assert evaluated(a_service(2), a_task(ID="1"), failed, a_task("starting", ID="3")) == expected


def test_tasks_that_had_ended_before_the_wait_do_not_count() -> None:
    before = a_task("failed", "shutdown", ID="before", code=1)
    assert evaluated(a_service(), before, a_task(), known=frozenset({"before"})) == READY
    waiting = evaluated(a_service(), before, a_task("starting"), known=frozenset({"before"}))
    assert waiting == Evaluation(status="starting on db-1")
    assert evaluated(a_service(), before, a_task(), known=frozenset({"other"})).reason == "exited with code 1 on db-1"


def test_a_task_of_the_spec_before_is_no_task_of_the_service() -> None:
    service, new = a_service(UpdateStatus={"State": "updating"}), a_task(ID="new")
    not_begun = Evaluation(status="0 of 1 tasks run, 1 others have not ended")
    assert evaluated(service, older(a_task())) == not_begun, "its update has hardly begun"
    stopping = older(a_task("running", "shutdown"))
    assert evaluated(service, stopping, new) == Evaluation(status="1 of 1 tasks run, 1 others have not ended")
    assert evaluated(service, {**stopping, "NodeID": "id-3"}, new) == READY, "a node that is down reports no end"
    assert evaluated(service, older(a_task("shutdown", "shutdown")), new) == READY
    failed = older(a_task("failed", "shutdown", code=1))
    assert evaluated(service, failed, new) == READY, "the update may be what fixes it"


def test_a_restart_waits_for_tasks_of_the_new_count() -> None:
    service = a_service()
    service["Spec"]["TaskTemplate"]["ForceUpdate"] = 4
    assert not evaluated(service, a_task()).ready


def test_a_task_that_fits_another_placement_is_one_of_the_service() -> None:
    service = a_service()
    service["Spec"]["TaskTemplate"]["Placement"] = {"Constraints": ["node.role==manager"]}
    assert evaluated(service, a_task()) == READY, "the swarm does not start it again"


@pytest.mark.parametrize("state", ["paused", "rollback_started", "rollback_paused", "rollback_completed"])
def test_an_update_that_the_swarm_gave_up_has_failed(state: str) -> None:
    evaluation = evaluated(updating(state, "update paused due to failure of task 1"), a_task())
    assert evaluation == Evaluation(reason="was not updated: update paused due to failure of task 1")


@pytest.mark.parametrize("state", ["updating", "completed"])
def test_an_update_that_goes_on_or_is_complete_is_no_failure(state: str) -> None:
    assert evaluated(updating(state), a_task()) == READY


def test_the_task_that_failed_is_reported_instead_of_the_update_it_paused() -> None:
    failed = a_task("failed", "shutdown", code=1)
    assert evaluated(updating("paused", "paused"), failed).reason == "exited with code 1 on db-1"


def test_a_service_that_was_scaled_to_no_tasks_is_reported_with_what_starts_it() -> None:
    expected = Evaluation(reason=f"was scaled to no tasks; start it: {START}")
    assert evaluated(a_service(0)) == expected
    assert evaluated(a_service(0), a_task("shutdown", "shutdown")) == expected


def test_a_global_service_is_ready_when_all_its_tasks_run() -> None:
    service, first = a_service(None), a_task(ID="1")
    assert evaluated(service, first, a_task(ID="2", NodeID="id-2")) == READY
    starting = a_task("starting", ID="2", NodeID="id-2")
    assert evaluated(service, first, starting) == Evaluation(status="starting on db-2")
    assert evaluated(service) == Evaluation(status=CONVERGING), "no node fits, or it has just been created"
    ended = a_task("shutdown", "shutdown", ID="2", NodeID="id-2")
    assert evaluated(service, first, ended) == READY, "a node that left the swarm"


@pytest.mark.parametrize(
    ("tasks", "evaluation"),
    [
        ([], Evaluation(status="new")),
        ([a_task("preparing")], Evaluation(status="preparing on db-1")),
        ([a_task("running")], Evaluation(status="running on db-1")),
        ([a_task("complete", "shutdown")], READY),
        (
            [a_task("failed", "shutdown", code=1)],
            Evaluation(reason="exited with code 1 on db-1", status="failed"),
        ),
        (
            [a_task("rejected", "shutdown", error="No such image: app")],
            Evaluation(reason="did not start on db-1: No such image: app", status="rejected"),
        ),
        (
            [a_task("pending", NodeID="", error=NO_NODE)],
            Evaluation(status=f"pending: {NO_NODE}"),
        ),
        ([older(a_task("complete", "shutdown"))], Evaluation(status="new")),
        (
            [a_task("failed", "shutdown", CreatedAt="2026-05-01T10:00:00Z", code=1), a_task("complete", "shutdown")],
            READY,
        ),
    ],
    ids=["none", "pulled", "running", "complete", "failed", "rejected", "no node", "before an update", "again"],
)
def test_a_one_shot_service_is_evaluated_by_its_newest_task(tasks: list[Json], evaluation: Evaluation) -> None:
    assert evaluated(a_service(), *tasks, condition=COMPLETED) == evaluation


def test_the_tasks_of_a_service_are_its_newest_first() -> None:
    tasks = [a_task(ID=str(hour), CreatedAt=f"2026-05-01T1{hour}:00:00Z") for hour in (1, 3, 2)]
    assert [task["ID"] for task in current_tasks(a_service(), [*tasks, older(a_task())])] == ["3", "2", "1"]


def test_a_task_that_finds_no_node_is_told_from_one_that_waits() -> None:
    assert stuck(evaluated(a_service(), a_task("pending", NodeID="", error=NO_NODE)).status)
    assert not stuck(evaluated(a_service(), a_task("pending", NodeID="")).status)
