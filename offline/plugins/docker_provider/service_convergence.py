"""When a service has converged: as many tasks run as it has replicas. The pace is that of the real plugin."""

import time
from collections.abc import Callable
from typing import Any

from offline.plugins.docker_provider.connection import docker_errors
from offline.plugins.formats import duration, nanoseconds
from offline.plugins.property_values import Properties
from offline.plugins.resource import ProviderError

SECOND = 10**9  # nanoseconds
FIRST_POLL_SECONDS, POLL_SECONDS = 5.0, 10.0
UPDATE_DELAY_SECONDS = 7.0  # the delay that is asked for counts for creates alone
STATES = (
    "new",
    "allocated",
    "pending",
    "assigned",
    "accepted",
    "preparing",
    "ready",
    "starting",
    "running",
    "complete",
    "shutdown",
    "failed",
    "rejected",
)
RANK = {state: rank for rank, state in enumerate(STATES, start=1)}
FAILED_UPDATES = {
    "paused": "service update paused",
    "rollback_completed": "service rollback completed",
    "rollback_paused": "service rollback paused",
}
Task = dict[str, Any]


def wait_for_create(api: Any, identifier: str, converge: Properties) -> None:  # noqa: ANN401 - Connection.api
    """Wait until all tasks of a new service run; raises ProviderError when they do not in time."""
    delay = nanoseconds(converge["delay"]) / SECOND
    _wait(lambda: _is_running(api, api.inspect_service(identifier)), identifier, converge, delay)


def wait_for_update(api: Any, identifier: str, converge: Properties) -> None:  # noqa: ANN401 - Connection.api
    """Wait until an update is complete, or as many tasks run as there are replicas, old ones included.

    Raises ProviderError when neither comes in time, and for an update that was paused or rolled back.
    """
    _wait(lambda: _is_updated(api, identifier), identifier, converge, UPDATE_DELAY_SECONDS)


def _wait(done: Callable[[], bool], identifier: str, converge: Properties, delay: float) -> None:
    timeout = nanoseconds(converge["timeout"])
    end, pause = time.monotonic() + timeout / SECOND, FIRST_POLL_SECONDS
    time.sleep(delay)
    while True:
        with docker_errors():
            if done():
                return
        left = end - time.monotonic()
        time.sleep(max(0.0, min(pause, left)))
        if pause >= left:
            raise ProviderError(f"Service with ID ({identifier}) did not converge after {duration(timeout)}")
        pause = POLL_SECONDS


def _is_updated(api: Any, identifier: str) -> bool:  # noqa: ANN401 - Connection.api
    service = api.inspect_service(identifier)
    status = service.get("UpdateStatus") or {}
    state, message = status.get("State"), status.get("Message", "")
    if state in FAILED_UPDATES:
        raise ProviderError(f"{FAILED_UPDATES[state]}: {message}")
    if state == "completed":
        return True
    converged = _is_running(api, service)
    if converged and state == "rollback_started":
        raise ProviderError(f"{FAILED_UPDATES['rollback_completed']}: {message}")
    return converged


def _is_running(api: Any, service: Task) -> bool:  # noqa: ANN401 - Connection.api
    replicated = service["Spec"]["Mode"].get("Replicated")
    if replicated is None:
        raise ProviderError("no replica count")
    tasks = api.tasks(filters={"service": service["ID"], "desired-state": "running"})
    active = {node["ID"] for node in api.nodes() if node["Status"]["State"] != "down"}
    running = [task for task in by_slot(tasks, active).values() if is_running(task)]
    return len(running) == int(replicated.get("Replicas", 0))


def by_slot(tasks: list[Task], active: set[str]) -> dict[int, Task]:
    """Return the task that counts for each slot: the one with the lowest state, if its node is up."""
    counted: dict[int, Task] = {}
    for task in tasks:
        slot, rank = task.get("Slot", 0), _ranks(task)
        if 0 in rank or (slot in counted and _ranks(counted[slot]) <= rank):
            continue
        if task.get("NodeID") and task["NodeID"] not in active:
            continue
        counted[slot] = task
    return counted


def is_running(task: Task) -> bool:
    """Return whether a task runs and is to go on."""
    return bool(task["Status"]["State"] == "running" and RANK[task["DesiredState"]] <= RANK["running"])


def _ranks(task: Task) -> tuple[int, int]:
    return RANK.get(task["DesiredState"], 0), RANK.get(task["Status"]["State"], 0)
