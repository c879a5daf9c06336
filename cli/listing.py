"""The services of a stack and their tasks, as a manager of the swarm has listed them at one moment."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.parts import Part, rank
from cli.tasks import InspectedTask, Service
from components.orchestrator.swarm.services import Hosts, is_alive, is_stopped, tasks_before
from components.orchestrator.swarm.tasks import Slot, Task, is_one_shot, slots_of

CORES = "core"  # the service of all cores but the first
LOST = "lost"  # the state of what is on a node that is down: to ask it takes long


@dataclass(frozen=True)
class Listing:
    """Services of a stack, whose names begin with `prefix`, their tasks, those that have ended, too, and the nodes."""

    prefix: str
    services: Sequence[Service]
    all_tasks: Sequence[Task]
    hosts: Hosts

    def parts(self) -> list[Part]:
        """Return the services as parts, in the order of the data's way, `core` after `core-1`."""
        parts = [self._part(service, slots_of(service, self._tasks(service))) for service in self.services]
        return sorted(parts, key=_rank)

    def tasks(self, image_report: Callable[[str], Mapping[str, Any]]) -> list[InspectedTask]:
        """Return the tasks that the services have or should have, in the order of their parts."""
        found = [item for service in self.services for item in self._inspect(service, image_report)]
        return sorted(found, key=lambda item: _rank(item.part))

    def log_sources(self) -> list[Part]:
        """Return the tasks that have a log, each by its id and with its node."""
        return sorted((source for service in self.services for source in self._sources(service)), key=_rank)

    def _tasks(self, service: Service) -> list[Task]:
        return [task for task in self.all_tasks if task["ServiceID"] == service["ID"]]

    def _name(self, service: Service, slot: int = 0) -> str:
        """Return the part of a service; with the number of a slot that of its task: the first core is `core-1`."""
        name = str(service["Spec"]["Name"]).removeprefix(f"{self.prefix}-")
        return f"{name}-{slot + 1}" if name == CORES and slot else name

    def _part(self, service: Service, slots: Sequence[Slot], number: int = 0) -> Part:
        """Return a part with the state of its slots in Docker's words for a container."""
        ended = "exited" if is_stopped(service) or is_one_shot(service) else "restarting"
        state = "running" if any(self._runs(slot.task) for slot in slots) else ended
        return Part(self._name(service, number), service["Spec"]["Name"], state)

    def _runs(self, task: Task) -> bool:
        return task["Status"]["State"] == "running" and task["NodeID"] in self.hosts.up

    def _inspect(self, service: Service, image_report: Callable[[str], Mapping[str, Any]]) -> Iterator[InspectedTask]:
        slots: list[Slot | None] = list(slots_of(service, self._tasks(service)))
        numbers = [slot.number if slot else 0 for slot in slots]
        if not slots and not is_one_shot(service):
            # What is stopped has as many rows as there were tasks.
            numbers = list(range(1, tasks_before(service) + 1)) if self._name(service) == CORES else [0]
            slots = [None for _ in numbers]
        image = str(service["Spec"]["TaskTemplate"]["ContainerSpec"].get("Image") or "")
        for number, slot in zip(numbers, slots, strict=True):
            yield InspectedTask(
                part=self._part(service, [slot] if slot else [], number),
                node=self.hosts.names.get(str(slot.task.get("NodeID")), "") if slot else "",
                service=service,
                slot=slot,
                hosts=self.hosts,
                image_report=image_report(image),
            )

    def _sources(self, service: Service) -> Iterator[Part]:
        for task in sorted(self._tasks(service), key=lambda task: str(task["CreatedAt"])):
            status = task.get("Status") or {}
            if (status.get("ContainerStatus") or {}).get("ContainerID"):
                node = str(self.hosts.names.get(task["NodeID"], task["NodeID"]))
                state = "running" if is_alive(task, self.hosts) else str(status["State"])
                state = state if task["NodeID"] in self.hosts.up else LOST
                yield Part(self._name(service, int(task.get("Slot") or 0)), task["ID"], state, node)


def _rank(part: Part) -> tuple[int, str, int]:
    order, group, number = rank(part)
    return order, group, sys.maxsize if part.part == CORES else number
