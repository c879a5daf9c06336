"""A task of a service of a stack, as a manager of its swarm reports it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.parts import Inspected, Part
from components.orchestrator.container_state import Evaluation
from components.orchestrator.swarm.services import Hosts, is_stopped
from components.orchestrator.swarm.tasks import STOPPED, Slot, evaluate_slot, is_one_shot

SLOT = "{{.Task.Slot}}"  # in the host name of a service's tasks
NO_NODE = Evaluation(reason="runs on no node; see: docker node ls", status="pending")
Service = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class InspectedTask(Inspected):
    """A part with what a manager reports of its task: of `slot`, or that there is none.

    `image_report` is what the manager's Docker Engine knows of its image.
    """

    part: Part
    node: str
    service: Service
    slot: Slot | None
    hosts: Hosts
    image_report: Mapping[str, Any]

    @property
    def host_name(self) -> str:
        """Its own name within its container, which DHIS2 knows a core by."""
        name = str(self._container.get("Hostname") or self.part.part)
        return name.replace(SLOT, str(self.slot.number)) if self.slot else name

    @property
    def is_one_shot(self) -> bool:
        """True for a task that runs once and ends."""
        return is_one_shot(self.service)

    @property
    def evaluation(self) -> Evaluation:
        """Whether it is healthy (a one-shot: has completed), else why not. It ran once it was healthy."""
        if self.slot is None:
            return Evaluation(reason=STOPPED, status="stopped") if is_stopped(self.service) else NO_NODE
        return evaluate_slot(self.service, self.slot, self.hosts)

    @property
    def state(self) -> str:
        """Docker's word for the state of the task."""
        return str(self._status.get("State", ""))

    @property
    def is_running(self) -> bool:
        """True where a command can be run beside it: its node takes tasks."""
        return self.state == "running" and self.slot is not None and self.slot.task["NodeID"] in self.hosts.taking

    @property
    def health_output(self) -> str:
        """Nothing: other nodes do not tell it."""
        return ""

    @property
    def started_at(self) -> str | None:
        """Docker's timestamp of its start; None where it does not run."""
        return str(self._status.get("Timestamp") or "") or None if self.state == "running" else None

    @property
    def restarts(self) -> int:
        """How often it has ended badly, as far back as the swarm remembers."""
        return self.slot.restarts if self.slot else 0

    @property
    def memory_limit_bytes(self) -> int | None:
        """Its memory limit; None without one."""
        limits = (self.service["Spec"]["TaskTemplate"].get("Resources") or {}).get("Limits") or {}
        return int(limits.get("MemoryBytes") or 0) or None

    @property
    def image(self) -> str:
        """The image of the service."""
        return str(self._container.get("Image") or "")

    @property
    def configuration(self) -> Mapping[str, Any]:
        """Docker's `Config` of its image."""
        return self.image_report.get("Config") or {}

    @property
    def volume_mounts(self) -> Sequence[tuple[str, str, bool]]:
        """Its volumes by name, each with its path and whether it can write to it; those in memory are none."""
        mounts = [mount for mount in self._container.get("Mounts") or [] if mount.get("Type") == "volume"]
        return [
            (str(mount["Source"]), str(mount["Target"]), not mount.get("ReadOnly"))
            for mount in mounts
            if driver_options(mount).get("type") != "tmpfs"
        ]

    @property
    def _container(self) -> dict[str, Any]:
        return self.service["Spec"]["TaskTemplate"]["ContainerSpec"] or {}

    @property
    def _status(self) -> Mapping[str, Any]:
        return (self.slot.task.get("Status") or {}) if self.slot else {}


def driver_options(mount: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the options of Docker's local driver for the volume of a mount."""
    driver = (mount.get("VolumeOptions") or {}).get("DriverConfig") or {}
    return driver.get("Options") or {}
