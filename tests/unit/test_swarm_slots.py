"""The slots of a swarm's services, and services that were stopped: what is there now, what was before."""

import copy

import pytest

from components.orchestrator.container_state import Evaluation
from components.orchestrator.swarm.services import (
    ENVIRONMENT,
    NOWHERE,
    STOPPED_LABEL,
    environment_of,
    is_stopped,
    scale_back,
    scale_to_none,
    stop_timeout_seconds,
    tasks_before,
)
from components.orchestrator.swarm.tasks import STOPPED, evaluate_service, evaluate_slot, slots_of
from components.orchestrator.swarm.watcher import SwarmWatcher
from tests.support.swarm import HOSTS, FakeSwarm, Json, a_service, a_task, wait, watched
from tests.unit.test_swarm_tasks import HEALTHY, older, updating

NO_NODE = "no suitable node (insufficient resources on 3 nodes)"


def evaluated(service: Json, *tasks: Json) -> Evaluation:
    """Evaluate the only slot of a service."""
    (slot,) = slots_of(service, tasks)
    return evaluate_slot(service, slot, HOSTS)


def earlier(state: str = "failed", *, code: int = 2, hour: int = 10) -> Json:
    return a_task(state, "shutdown", code=code, ID=f"{state}-{hour}", CreatedAt=f"2026-05-01T{hour}:00:00Z")


def test_a_slot_has_its_newest_task_and_those_before_it_the_newest_first() -> None:
    tasks = [earlier(hour=10), a_task(Slot=1), earlier(hour=11), a_task(Slot=2, ID="other")]
    for task in (tasks[0], tasks[2]):
        task["Slot"] = 1
    first, second = slots_of(a_service(2), tasks)
    assert (first.number, first.task, first.before) == (1, tasks[1], [tasks[2], tasks[0]])
    assert (first.restarts, second.restarts) == (2, 0)
    assert (second.number, second.task["ID"]) == (2, "other")


def test_a_global_service_has_a_slot_on_each_node_that_has_a_task() -> None:
    left = a_task("shutdown", "shutdown", NodeID="id-3")
    found = slots_of(a_service(None), [a_task(), a_task(NodeID="id-2"), left])
    assert [(slot.number, slot.task["NodeID"]) for slot in found] == [(0, "id-1"), (0, "id-2")]


def test_a_slot_that_was_scaled_away_is_none_and_a_one_shot_has_one_when_it_has_ended() -> None:
    assert slots_of(a_service(), [a_task("shutdown", "shutdown", Slot=2)]) == []
    job = a_service()
    job["Spec"]["TaskTemplate"]["RestartPolicy"] = {"Condition": "none"}
    assert evaluated(job, a_task("complete", "shutdown")) == Evaluation(ready=True)
    assert evaluated(job, earlier()).reason == "exited with code 2 on db-1"


@pytest.mark.parametrize(
    ("service", "tasks", "evaluation"),
    [
        (a_service(), [a_task()], Evaluation(ready=True, status="running")),
        (a_service(), [a_task("starting")], Evaluation(status="starting")),
        (
            a_service(),
            [a_task("starting"), earlier()],
            Evaluation(reason="exited with code 2 on db-1", status="starting"),
        ),
        (a_service(), [a_task("starting"), earlier("shutdown")], Evaluation(status="starting")),
        (a_service(), [a_task("ready", "ready")], Evaluation(status="starting")),
        (a_service(), [a_task("pending", NodeID="", error=NO_NODE)], Evaluation(reason=NO_NODE, status="pending")),
        (
            a_service(),
            [a_task("rejected", error="No such image")],
            Evaluation(reason="did not start on db-1: No such image", status="rejected"),
        ),
        (
            a_service(),
            [a_task(NodeID="id-3")],
            Evaluation(reason="its node does not answer on app-1", status="unknown"),
        ),
        (
            updating("paused", "too many failures"),
            [a_task()],
            Evaluation(reason="was not updated: too many failures", status="running"),
        ),
        (a_service(), [older(a_task())], Evaluation(reason="is replaced by one of another spec", status="running")),
    ],
    ids=[
        "ready",
        "starts",
        "fails again",
        "replaced",
        "waits",
        "no node",
        "rejected",
        "node down",
        "paused",
        "older spec",
    ],
)
def test_a_slot_is_evaluated_by_its_newest_task(service: Json, tasks: list[Json], evaluation: Evaluation) -> None:
    assert evaluated(service, *tasks) == evaluation


@pytest.mark.parametrize("replicas", [3, None], ids=["replicated", "global"])
def test_a_service_that_is_stopped_and_started_is_the_one_before(replicas: int | None) -> None:
    service = a_service(replicas)
    before = copy.deepcopy(service["Spec"]) | {"Labels": {}}
    for _ in range(2):  # one that is stopped already stays as it is
        scale_to_none(service["Spec"])
        assert is_stopped(service) and evaluate_service(service, [], HOSTS, HEALTHY, set()).reason == STOPPED
        assert tasks_before(service) == (replicas or 1)
    assert (STOPPED_LABEL in service["Spec"].get("Labels", {})) is (replicas is not None)
    assert (NOWHERE in service["Spec"]["TaskTemplate"]["Placement"]["Constraints"]) is (replicas is None)
    for _ in range(2):
        scale_back(service["Spec"])
        assert not is_stopped(service)
        assert {"Labels": {}} | service["Spec"] == before


def test_a_service_that_was_scaled_to_none_by_hand_is_started_with_one_task() -> None:
    service = a_service(0)
    scale_back(service["Spec"])
    assert service["Spec"]["Mode"] == {"Replicated": {"Replicas": 1}}


def test_another_watcher_starts_what_one_has_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = watched(FakeSwarm(a_service(3), a_task("shutdown", "shutdown")), monkeypatch)
    wait(SwarmWatcher(None, 1, print).stop("app", 1))
    wait(SwarmWatcher(None, 1, print).start("app"))
    assert swarm.service and swarm.service["Spec"]["Mode"] == {"Replicated": {"Replicas": 3}}


def test_the_stop_timeout_of_a_service_is_in_seconds() -> None:
    service = a_service()
    assert stop_timeout_seconds(service) == 10, "Docker's own"
    service["Spec"]["TaskTemplate"]["ContainerSpec"]["StopGracePeriod"] = 70_000_000_000
    assert stop_timeout_seconds(service) == 70


def test_the_environment_of_a_service_is_that_of_its_config() -> None:
    service = a_service()
    assert environment_of(FakeSwarm(), service) == {}  # type: ignore[arg-type]
    swarm = FakeSwarm(service)
    swarm.files["config-id"] = {"data": b"# Sourced; it's a comment.\nexport A='x y'\nexport B='it'\"'\"'s=1'\n"}
    file = {"ConfigID": "config-id", "File": {"Name": ENVIRONMENT}}
    service["Spec"]["TaskTemplate"]["ContainerSpec"]["Configs"] = [file]
    assert environment_of(swarm, service) == {"A": "x y", "B": "it's=1"}  # type: ignore[arg-type]
