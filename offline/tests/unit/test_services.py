"""The fake docker provider's services: created, waited for, read, updated and deleted."""

import time
from typing import Any

import pytest
import requests
from docker.errors import APIError, NotFound

from offline.plugins.docker_provider import service_convergence
from offline.plugins.docker_provider.service import Service
from offline.plugins.resource import InitError, ProviderError
from offline.tests.unit.swarm import FULL, ID, Json, Swarm, complete, service, task

INPUTS = complete(FULL)
DETACHED = complete(service(convergeConfig=None))


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds that were slept; they pass at once."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(time, "monotonic", lambda: sum(slept))
    return slept


def created(swarm: Swarm, inputs: Json = DETACHED) -> Json:
    """Create a service and return its state."""
    return Service(swarm.connection()).create(inputs)[1]


def test_without_converge_config_a_service_is_not_waited_for(sleeps: list[float]) -> None:
    identifier, outputs = Service(Swarm().connection()).create(DETACHED)
    assert (identifier, outputs["name"]) == (ID, "core"), "although no task runs"
    assert sleeps == []


def test_a_create_waits_until_all_tasks_run(sleeps: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = Swarm()
    swarm.run_tasks(2, "starting")

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        if len(sleeps) == 3:
            swarm.run_tasks(2)

    monkeypatch.setattr(time, "sleep", sleep)
    created(swarm, INPUTS)
    assert sleeps == [2.0, 5.0, 10.0], "first the delay, then in the pace of the real plugin"


def test_a_create_that_does_not_converge_deletes_the_service(sleeps: list[float]) -> None:
    swarm = Swarm()
    swarm.run_tasks(2, "starting")
    with pytest.raises(ProviderError) as raised:
        created(swarm, complete(service("convergeConfig", "timeout", "1m20s")))
    assert str(raised.value) == f"Service with ID ({ID}) did not converge after 1m20s", "and it is not in the state"
    assert swarm.service == {}
    assert sum(sleeps) == 80, "when the time is over, not at the next poll"


def test_an_error_of_docker_engine_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = Swarm()

    def refuse(*_: object, **__: object) -> None:
        raise APIError("", explanation="rpc error: code = InvalidArgument desc = invalid memory value")

    monkeypatch.setattr(swarm, "_result", refuse)
    with pytest.raises(ProviderError) as raised:
        created(swarm)
    text = "Error response from daemon: rpc error: code = InvalidArgument desc = invalid memory value"
    assert str(raised.value) == text


def test_a_create_asks_the_registry_for_the_digest_and_an_update_does_not() -> None:
    swarm = Swarm()
    swarm.digest, swarm.platforms = "sha256:1", [{"architecture": "arm", "os": "linux"}]
    state = created(swarm)
    sent = swarm.service["Spec"]["TaskTemplate"]
    assert sent["ContainerSpec"]["Image"] == "app:1@sha256:1"
    assert sent["Placement"]["Platforms"] == [{"Architecture": "", "OS": "linux"}]
    assert state["taskSpec"]["containerSpec"]["image"] == "app:1@sha256:1", "so the next `up` shows a change"
    Service(swarm.connection()).update(ID, state, DETACHED)
    assert swarm.service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == "app:1", "which restarts all tasks"


def test_without_a_registry_the_image_stays_as_written() -> None:
    swarm = Swarm()
    created(swarm, complete(service("taskSpec", "containerSpec", "image", "sha256:" + "a" * 64, convergeConfig=None)))
    assert swarm.service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == "sha256:" + "a" * 64


def test_a_removed_service_is_gone_and_another_of_its_name_is_taken_for_it() -> None:
    swarm = Swarm()
    state = created(swarm)
    swarm.service["ID"] = "service-2"
    present = Service(swarm.connection()).read(ID, state)
    assert present is not None
    assert present["id"] == "service-2"
    swarm.service = {}
    assert Service(swarm.connection()).read(ID, state) is None


def test_a_service_that_was_scaled_by_hand_is_read_so() -> None:
    swarm = Swarm()
    state = created(swarm)
    swarm.service["Spec"]["Mode"]["Replicated"]["Replicas"] = 5
    present = Service(swarm.connection()).read(ID, state) or {}
    assert present["mode"]["replicated"] == {"replicas": 5}


def test_an_update_sends_all_of_it_and_ends_when_enough_tasks_run_whichever_they_are(sleeps: list[float]) -> None:
    swarm = Swarm()
    state = created(swarm)
    swarm.run_tasks(2)
    swarm.update_status = {"State": "updating"}
    Service(swarm.connection()).update(ID, state, INPUTS)
    assert swarm.requests == ["/services/create", f"/services/{ID}/update"], "although nothing has changed"
    assert sleeps == [7.0], "the delay of converge_config counts for creates alone"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("rollback_completed", "service rollback completed: rolled back due to failure of task t"),
        ("rollback_started", "service rollback completed: rolled back due to failure of task t"),
        ("rollback_paused", "service rollback paused: rolled back due to failure of task t"),
        ("paused", "service update paused: rolled back due to failure of task t"),
    ],
)
def test_a_failed_update_is_an_error_and_leaves_the_new_values_in_the_state(
    status: str, reason: str, sleeps: list[float]
) -> None:
    swarm = Swarm()
    state = created(swarm)
    swarm.run_tasks(2)
    swarm.update_status = {"State": status, "Message": "rolled back due to failure of task t"}
    with pytest.raises(InitError) as raised:
        Service(swarm.connection()).update(ID, state, INPUTS)
    assert (str(raised.value), raised.value.outputs, len(sleeps)) == (reason, INPUTS, 1)


def test_an_update_that_does_not_converge_keeps_the_service(sleeps: list[float]) -> None:
    swarm = Swarm()
    state = created(swarm)
    swarm.run_tasks(1)
    with pytest.raises(InitError, match=r"did not converge after 20s"):
        Service(swarm.connection()).update(ID, state, INPUTS)
    assert sum(sleeps) == 20
    assert swarm.service, "its old tasks go on"


def test_a_service_that_was_removed_by_hand_can_be_neither_updated_nor_deleted() -> None:
    swarm = Swarm()
    state = created(swarm)
    swarm.service = {}
    with pytest.raises(InitError, match=f"Error response from daemon: service {ID} not found"):
        Service(swarm.connection()).update(ID, state, DETACHED)
    reason = f"Error deleting service with ID '{ID}': Error response from daemon: service {ID} not found"
    with pytest.raises(ProviderError) as raised:
        Service(swarm.connection()).delete(ID, state)
    assert str(raised.value) == reason, "until a refresh"


def test_the_task_that_counts_for_a_slot_is_the_one_with_the_lowest_state() -> None:
    old, new = task(1, "running"), task(1, "starting")
    assert service_convergence.by_slot([old, new], {"up"}) == {1: new}, "start-first: the new one has to run, too"
    assert service_convergence.by_slot([new, old], {"up"}) == {1: new}
    assert service_convergence.by_slot([task(1, "running", node="down")], {"up"}) == {}, "its node is down"
    assert service_convergence.by_slot([task(1, "orphaned")], {"up"}) == {}
    assert service_convergence.is_running(old)
    assert not service_convergence.is_running(task(1, "running", desired="shutdown"))


def test_tasks_of_a_global_service_cannot_be_counted() -> None:
    swarm = Swarm()
    created(swarm, complete(service(mode={"global": True}, convergeConfig=None)))
    with pytest.raises(ProviderError, match="no replica count"):
        service_convergence.wait_for_create(swarm, ID, {"delay": "0s", "timeout": "1s"})


class Containers(Swarm):
    """A swarm with containers: those that are local take `answer` until they are removed."""

    def __init__(self, answer: Exception | None = None) -> None:
        super().__init__()
        self.answer = answer
        self.waits: list[tuple[str, float]] = []
        self.removed: list[str] = []
        self.tasks_ = [
            task(1, "running", container="local"),
            task(2, "shutdown", desired="shutdown", container="old"),
            task(3, "pending"),
        ]

    def wait(self, container: str, timeout: float, condition: str) -> None:
        assert (condition, self.service) == ("removed", {}), "after the service was removed"
        self.waits.append((container, timeout))
        if self.answer:
            raise self.answer

    def remove_container(self, container: str, **_: Any) -> None:  # noqa: ANN401 - of no interest
        self.removed.append(container)
        raise APIError("", explanation=f"No such container: {container}")


def test_a_delete_waits_the_grace_period_for_the_containers_of_this_machine() -> None:
    swarm = Containers()
    Service(swarm.connection()).delete(ID, created(swarm))
    assert swarm.waits == [("local", 90.0)], "not for those that are shut down"
    assert swarm.removed == ["local"]
    elsewhere = Containers(NotFound("", explanation="No such container: local"))
    Service(elsewhere.connection()).delete(ID, created(elsewhere))
    assert elsewhere.service == {}


@pytest.mark.parametrize("period", [None, "0s"])
def test_a_delete_without_a_grace_period_does_not_wait(period: str | None) -> None:
    swarm = Containers()
    state = created(swarm)
    state["taskSpec"]["containerSpec"]["stopGracePeriod"] = period
    Service(swarm.connection()).delete(ID, state)
    assert swarm.waits == []


def test_a_container_that_is_there_after_the_grace_period_fails_the_delete() -> None:
    swarm = Containers(requests.ReadTimeout())
    with pytest.raises(ProviderError) as raised:
        Service(swarm.connection()).delete(ID, created(swarm))
    assert str(raised.value) == "error on wait for container with ID 'local': context deadline exceeded"
    assert swarm.service == {}, "the service no longer exists: the next delete does not find it"
