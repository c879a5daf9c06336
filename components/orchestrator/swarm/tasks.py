"""Evaluate a service of a swarm by its tasks: ready, still on its way, or failed and why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.orchestrator.container_state import START, Condition, Evaluation
from components.orchestrator.swarm.services import Hosts, is_alive, is_stopped, replicas_of

Task = Mapping[str, Any]
ENDED_BADLY = ("failed", "rejected", "orphaned")
ENDED = (*ENDED_BADLY, "complete", "shutdown", "remove")
STOPPED = f"was scaled to no tasks; start it: {START}"
# How long a task may find no node: one that is drained or has restarted comes back in less.
NO_NODE_SECONDS = 45
# Of the update of a service that the swarm gave up.
GIVEN_UP = ("paused", "rollback_started", "rollback_paused", "rollback_completed")


def evaluate_service(
    service: Mapping[str, Any],
    tasks: Sequence[Task],
    hosts: Hosts,
    condition: Condition,
    known: Collection[str],
) -> Evaluation:
    """Evaluate one inspection of a service and its tasks.

    `known` are the ids of tasks that had ended before the wait began: one that ends during it would end again and
    again.
    """
    current = current_tasks(service, tasks)
    if condition is Condition.SERVICE_COMPLETED_SUCCESSFULLY:
        return _evaluate_job(current, hosts)
    reason = _failure(service, current, hosts, known)
    return Evaluation(reason=reason) if reason else _progress(service, current, tasks, hosts)


def current_tasks(service: Mapping[str, Any], tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks of a service's present spec, the newest first.

    Their spec has to be compared: the state of an update is set only some time after it has begun. A task that fits
    another placement is not started again.
    """
    spec = _comparable(service["Spec"]["TaskTemplate"])
    current = [task for task in tasks if _comparable(task.get("Spec") or {}) == spec]
    return sorted(current, key=lambda task: str(task.get("CreatedAt")), reverse=True)


@dataclass(frozen=True)
class Slot:
    """One of the tasks that a service is to have: the newest in its place, and those that were there before it.

    The newest comes first among those. A global service has a slot on each node, the others have them by number, which
    begins with 1; it is 0 of a global one.
    """

    number: int
    task: Task
    before: Sequence[Task]

    @property
    def restarts(self) -> int:
        """How often a task of this slot has ended badly, as far back as the swarm remembers."""
        return sum(_state(task) in ENDED_BADLY for task in self.before)


def slots_of(service: Mapping[str, Any], tasks: Sequence[Task]) -> list[Slot]:
    """Return the slots a service is to have, by their numbers; a one-shot service has one also when it has ended."""
    places: dict[tuple[int, str], list[Task]] = {}
    for task in sorted(tasks, key=lambda task: str(task.get("CreatedAt")), reverse=True):
        number = int(task.get("Slot") or 0)
        places.setdefault((number, "" if number else str(task.get("NodeID") or "")), []).append(task)
    slots = [Slot(number, found[0], found[1:]) for (number, _), found in sorted(places.items())]
    if is_one_shot(service):
        return slots
    return [slot for slot in slots if slot.task.get("DesiredState") in ("running", "ready")]


def is_one_shot(service: Mapping[str, Any]) -> bool:
    """Tell whether a service has a task that runs once and ends."""
    policy = service["Spec"]["TaskTemplate"].get("RestartPolicy") or {}
    return policy.get("Condition") == "none"


def evaluate_slot(service: Mapping[str, Any], slot: Slot, hosts: Hosts) -> Evaluation:
    """Evaluate one slot of a service at this moment; one that is on its way has the reason why the one before ended."""
    if is_one_shot(service):
        return _evaluate_job([slot.task], hosts)
    given_up, state = _given_up(service), _state(slot.task)
    if state in ENDED_BADLY:
        return Evaluation(reason=_why(slot.task, hosts), status=state)
    if state != "running":
        ended = next((_why(task, hosts) for task in slot.before if _state(task) in ENDED_BADLY), "")
        error = str((slot.task.get("Status") or {}).get("Err") or "")
        # `ready` is Docker's word for a task that has not begun to start.
        return Evaluation(reason=given_up or error or ended, status="starting" if state == "ready" else state)
    if slot.task.get("NodeID") not in hosts.up:
        return Evaluation(reason=f"its node does not answer{_on_node(slot.task, hosts)}", status="unknown")
    if given_up or slot.task not in current_tasks(service, [slot.task]):
        return Evaluation(reason=given_up or "is replaced by one of another spec", status=state)
    return Evaluation(ready=True, status=state)


def unready_task(service: Mapping[str, Any], tasks: Sequence[Task], hosts: Hosts) -> Task | None:
    """Return the task that explains why a service is not ready: the last that ended badly, else one that is not there.

    None while it is ready. The log of others, such as those of the spec before, would not explain it.
    """
    current = current_tasks(service, tasks)
    if _progress(service, current, tasks, hosts).ready:
        return None
    ended = [task for task in current if _state(task) in ENDED_BADLY]
    return next(iter([*ended, *(task for task in current if _state(task) != "running")]), None)


def has_ended(task: Task) -> bool:
    """Tell whether a task has ended, well or badly."""
    return _state(task) in ENDED


def exit_code(task: Task) -> int:
    """Return the exit code of the container of a task; 0 also where it has none, such as one that did not start."""
    return int(((task.get("Status") or {}).get("ContainerStatus") or {}).get("ExitCode") or 0)


def stuck(task_status: str) -> bool:
    """Tell whether a status says that no node takes the task."""
    return "no suitable node" in task_status


def _failure(service: Mapping[str, Any], current: Sequence[Task], hosts: Hosts, known: Collection[str]) -> str:
    """Return why a service will not become ready; empty while it may."""
    ended = next((task for task in current if _state(task) in ENDED_BADLY and task["ID"] not in known), None)
    if ended is not None:
        return _why(ended, hosts)
    return _given_up(service) or (STOPPED if is_stopped(service) else "")


def _given_up(service: Mapping[str, Any]) -> str:
    """Return why the swarm gave up the update of a service; empty where it did not."""
    update = service.get("UpdateStatus") or {}
    return f"was not updated: {update.get('Message')}" if update.get("State") in GIVEN_UP else ""


def _progress(service: Mapping[str, Any], current: Sequence[Task], tasks: Sequence[Task], hosts: Hosts) -> Evaluation:
    """Evaluate a service that has not failed: ready once all its tasks run, and no other runs any more."""
    wanted = [task for task in current if task.get("DesiredState") in ("running", "ready")]
    waiting = next((task for task in wanted if _state(task) != "running"), None)
    # Of a global service the swarm alone knows how many tasks it has.
    count = replicas_of(service) or max(1, len(wanted))
    running = [task for task in wanted if _state(task) == "running"]
    others = [task for task in tasks if task not in wanted and is_alive(task, hosts)]
    if len(running) >= count and not others:
        return Evaluation(ready=True)
    if waiting:
        return Evaluation(status=_status(waiting, hosts))
    return Evaluation(status=f"{len(running)} of {count} tasks run, {len(others)} others have not ended")


def _evaluate_job(current: Sequence[Task], hosts: Hosts) -> Evaluation:
    """Evaluate the newest task, which ends by itself."""
    if not current:
        return Evaluation(status="new")
    task = current[0]
    if _state(task) == "complete":
        return Evaluation(ready=True)
    if _state(task) in ENDED_BADLY:
        return Evaluation(reason=_why(task, hosts), status=_state(task))
    return Evaluation(status=_status(task, hosts))


def _comparable(spec: Mapping[str, Any]) -> dict[str, Any]:
    # What runs a task is in the spec of the service only.
    return {key: value for key, value in spec.items() if key not in ("Placement", "Runtime")}


def _state(task: Task) -> str:
    return str((task.get("Status") or {}).get("State", ""))


def _status(task: Task, hosts: Hosts) -> str:
    error = (task.get("Status") or {}).get("Err")
    return f"{_state(task)}{_on_node(task, hosts)}" + (f": {error}" if error else "")


def _why(task: Task, hosts: Hosts) -> str:
    status, code = task.get("Status") or {}, exit_code(task)
    if _state(task) == "rejected" or not code:
        return f"did not start{_on_node(task, hosts)}: {status.get('Err') or _state(task)}"
    unhealthy = " as unhealthy" if "unhealthy" in str(status.get("Err")) else ""
    return f"exited with code {code}{unhealthy}{_on_node(task, hosts)}"


def _on_node(task: Task, hosts: Hosts) -> str:
    node = hosts.names.get(str(task.get("NodeID") or ""))
    return f" on {node}" if node else ""
