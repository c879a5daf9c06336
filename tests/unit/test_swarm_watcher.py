"""SwarmWatcher: the services of a swarm, waited for."""

from types import SimpleNamespace

import pytest
from docker.errors import APIError
from requests.exceptions import ReadTimeout

from components.orchestrator.container_state import Condition
from components.orchestrator.swarm import watcher as module
from components.orchestrator.swarm.tasks import NO_NODE_SECONDS
from components.orchestrator.swarm.watcher import SwarmWatcher
from components.orchestrator.watcher import NotReady, WaitTarget
from tests.support.swarm import FakeSwarm, Json, a_service, a_task, wait, watched

APP = WaitTarget("app", "the app")
FETCH = WaitTarget("app", "the dump x", Condition.SERVICE_COMPLETED_SUCCESSFULLY)
NO_NODE = a_task("pending", NodeID="", error="no suitable node (insufficient resources on 3 nodes)")
MISSING = "(app) no longer exists; recreate it: pulumi up --refresh"


@pytest.fixture
def swarm(monkeypatch: pytest.MonkeyPatch) -> FakeSwarm:
    """A swarm whose service app has one task that runs."""
    return watched(FakeSwarm(a_service(), a_task()), monkeypatch)


@pytest.fixture
def watcher(swarm: FakeSwarm) -> SwarmWatcher:
    return SwarmWatcher(None, 1, lambda _: None)


def test_a_wait_ends_when_the_tasks_of_a_service_run(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    wait(watcher.until_ready([APP]))
    assert swarm.done == [], "no job and no log for what is ready"


def test_a_wait_ends_when_a_one_shot_task_is_complete(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    swarm.tasks_ = [a_task("complete", "shutdown")]
    wait(watcher.until_ready([FETCH]))
    watcher.timeout_seconds = 0
    swarm.tasks_ = [a_task("running")]
    with pytest.raises(NotReady, match=r"the dump x was not ready after 0 s \(running on db-1\)"):
        wait(watcher.until_ready([FETCH]))


def test_a_wait_for_a_service_that_is_not_there_ends_with_what_recreates_it(
    watcher: SwarmWatcher, swarm: FakeSwarm
) -> None:
    swarm.service = None
    for target in (APP, FETCH):
        with pytest.raises(NotReady) as caught:
            wait(watcher.until_ready([target]))
        assert str(caught.value) == f"{target.display_name} {MISSING}"
    assert wait(watcher.cause(APP)) == MISSING


def test_a_paused_update_is_tried_once_more_in_each_wait(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    paused = {"State": "paused", "Message": "update paused due to failure or early termination of task 1"}
    swarm.service = a_service(UpdateStatus=paused)

    def recover() -> None:
        assert swarm.service
        swarm.service["UpdateStatus"] = {"State": "completed"}
        swarm.tasks_ = [a_task(Spec=swarm.service["Spec"]["TaskTemplate"])]

    swarm.at_update = recover
    wait(watcher.until_ready([APP]))
    assert swarm.done == ["update"]
    swarm.service, swarm.at_update = a_service(UpdateStatus=paused), lambda: None
    with pytest.raises(NotReady, match="was not updated: update paused due to failure"):
        wait(watcher.until_ready([APP]))


def test_a_task_that_fails_during_a_wait_ends_it_with_the_log_of_the_service(
    watcher: SwarmWatcher, swarm: FakeSwarm
) -> None:
    seen: Json = {}
    swarm.tasks_ = [a_task("failed", "shutdown", ID="before", code=1), a_task("starting")]
    assert wait(watcher.look(APP, seen)).status == "starting on db-1", "it has failed before"
    swarm.tasks_.append(a_task("failed", "shutdown", ID="now", code=3, CreatedAt="2026-05-01T13:00:00Z"))
    assert wait(watcher.look(APP, seen)).reason == "exited with code 3 on db-1"
    swarm.tasks_, swarm.log = [a_task("failed", "shutdown", code=3)], b"one\n\nfatal: no room\n"
    with pytest.raises(NotReady) as caught:
        wait(watcher.until_ready([FETCH]))
    text = "the dump x exited with code 3 on db-1\n  | one\n  | fatal: no room\n  Full log: docker service logs app"
    assert str(caught.value) == text


def test_a_task_that_finds_no_node_ends_a_wait_only_when_none_comes_back(
    watcher: SwarmWatcher, swarm: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Json = {}
    now = [100.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    swarm.tasks_ = [NO_NODE]
    assert not wait(watcher.look(APP, seen)).reason
    now[0] += NO_NODE_SECONDS
    assert not wait(watcher.look(APP, seen)).reason, "a node that has restarted comes back in less"
    swarm.tasks_ = [a_task("starting")]
    assert wait(watcher.look(APP, seen)).status == "starting on db-1"
    swarm.tasks_ = [NO_NODE]
    now[0] += 1
    assert not wait(watcher.look(APP, seen)).reason, "the time begins again"
    now[0] += NO_NODE_SECONDS + 1
    reason = wait(watcher.look(APP, seen)).reason
    assert reason.startswith("finds no node (pending: no suitable node") and reason.endswith("docker node ls")


def test_the_cause_of_a_failure_is_what_a_service_is_not_ready_for_now(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    assert wait(watcher.cause(APP)) == ""
    swarm.tasks_ = [a_task("failed", "shutdown", code=1)]
    assert wait(watcher.cause(APP)) == "exited with code 1 on db-1"
    swarm.tasks_ = [a_task("preparing")]
    assert wait(watcher.cause(APP)) == "is not ready: preparing on db-1"


def test_the_log_of_a_service_is_that_of_all_its_tasks_as_far_as_nodes_answer(
    watcher: SwarmWatcher, swarm: FakeSwarm
) -> None:
    swarm.log = b"one\n \ntwo\n"
    assert wait(watcher.log(APP, 3)) == ["one", "two"]
    assert swarm.done == ["log of services/app with tail 3"]
    for error in (ReadTimeout("timed out"), APIError("404")):
        swarm.log_error = error
        assert wait(watcher.log(APP, 3)) == [], "the failure is shown without it"


def test_a_quorum_that_is_lost_during_a_wait_ends_it_in_one_message(
    watcher: SwarmWatcher, swarm: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> Json:
        raise APIError("500", explanation="rpc error: code = Unknown desc = The swarm does not have a leader.")

    monkeypatch.setattr(swarm, "inspect_service", refuse)
    with pytest.raises(NotReady, match=r"^the swarm of .* has lost its quorum: "):
        wait(watcher.until_ready([APP]))


def test_the_log_of_a_failure_is_that_of_the_task_that_failed(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    of_spec_before = a_task("shutdown", "shutdown", ID="before", Spec={"ContainerSpec": {"Image": "older"}})
    starting = a_task("starting", ID="starting", CreatedAt="2026-05-01T13:00:00Z")
    failed = a_task("failed", "shutdown", ID="failed", code=1)
    swarm.log = b"no room\n"
    for tasks, shown in (
        ([of_spec_before, failed, starting], "tasks/failed"),
        ([of_spec_before, starting], "tasks/starting"),
        ([of_spec_before], "services/app"),
        ([of_spec_before, failed, a_task()], "services/app"),
    ):
        swarm.tasks_, swarm.done = tasks, []
        assert wait(watcher.log(APP, 3)) == ["no room"]
        assert swarm.done == [f"log of {shown} with tail 3"]


def until_pulled(watcher: SwarmWatcher, image: str) -> None:
    wait(watcher.until_pulled("app", image, "example/app:2", ["node.role==manager"]))


def test_an_image_that_a_service_changes_to_is_pulled_before(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    until_pulled(watcher, "example/app@sha256:1")
    assert swarm.done == [], "the service has it"
    until_pulled(watcher, "app@sha256:2")
    assert [what.split(" ")[0] for what in swarm.done] == ["create", "remove"]
    swarm.service, swarm.done = None, []
    until_pulled(watcher, "app@sha256:2")
    assert swarm.done == [], "nothing runs that would be stopped for it"


def test_an_image_that_nodes_lack_is_reported_before_anything_is_changed(
    watcher: SwarmWatcher, swarm: FakeSwarm
) -> None:
    swarm.job = ("rejected", 0, "No such image: app@sha256:2")
    with pytest.raises(NotReady) as caught:
        until_pulled(watcher, "app@sha256:2")
    reason = "example/app:2 does not start on db-1: No such image: app@sha256:2"
    fix = "a node pulls it from its registry, or has to have it by docker load. What runs was not changed"
    assert str(caught.value) == f"{reason}; {fix}"
    swarm.job, watcher.timeout_seconds = ("preparing", 0, ""), 0
    with pytest.raises(NotReady, match="was not there within 0 s"):
        until_pulled(watcher, "app@sha256:2")


def test_a_removed_service_is_gone_when_its_tasks_have_ended(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    old = a_task("running", "remove", ServiceID="removed")
    swarm.tasks_ = [a_task(), old]
    watcher.timeout_seconds = 0
    with pytest.raises(NotReady, match="app was removed, and still runs on db-1; see there: docker ps"):
        wait(watcher.until_gone("app"))
    swarm.service = None
    with pytest.raises(NotReady, match="still runs on db-1"):
        wait(watcher.until_gone("app"))
    wait(watcher.until_gone("another"))
    swarm.service, swarm.tasks_ = a_service(), [a_task()]
    wait(watcher.until_gone("app"))  # its own task
    swarm.tasks_ = [{**old, "Status": {"State": "shutdown"}}]
    wait(watcher.until_gone("app"))


def test_a_task_on_a_node_that_is_down_is_not_waited_for(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    swarm.tasks_, swarm.node_states = [a_task("running", "remove", ServiceID="removed")], {"db-1": "down"}
    watcher.timeout_seconds = 0
    wait(watcher.until_gone("app"))
    swarm.tasks_ = [a_task("running", ServiceID="removed", NodeID="left-the-swarm")]
    wait(watcher.until_gone("app"))


def test_a_swarm_without_an_answer_is_reported_with_its_address(
    watcher: SwarmWatcher, swarm: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> list[Json]:
        raise APIError("503", explanation="rpc error: no space left on disk")

    monkeypatch.setattr(swarm, "nodes", refuse)
    with pytest.raises(NotReady, match=r"Docker Engine at .*no space left on disk"):
        wait(watcher.until_ready([APP]))
