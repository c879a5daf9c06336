"""The nodes of a swarm, as one of its managers reports them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from docker import DockerClient
from docker.errors import APIError
from requests.exceptions import ReadTimeout

# What a manager without a quorum answers: the second one while it still waits for a leader.
NO_QUORUM = ("does not have a leader", "context deadline exceeded")


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node: its host name, whether it is a manager, and what it reports. Unknown memory is 0."""

    hostname: str
    address: str
    is_manager: bool
    state: str  # ready, down, disconnected or unknown
    availability: str  # active, pause or drain
    memory_mb: int
    architecture: str
    labels: tuple[str, ...]

    @property
    def takes_tasks(self) -> bool:
        """Whether the swarm gives it tasks now."""
        return self.state == "ready" and self.availability == "active"

    def __str__(self) -> str:
        role = "manager" if self.is_manager else "worker"
        facts = [role, self.state, *([] if self.availability == "active" else [self.availability])]
        return f"{self.hostname} ({', '.join([*facts, f'{self.memory_mb} MB', *self.labels])})"


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A service: the host name of the node it is pinned to (empty where it is not), its volumes, and its labels."""

    node: str = ""
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SwarmInfo:
    """What a Docker Engine knows of its swarm, or why that cannot be used (`refusal`). `own` is its host name."""

    refusal: str = ""
    own: str = ""
    nodes: Sequence[Node] = ()
    published_ports: dict[int, str]
    """The services that publish a port, by it."""
    deployed: Mapping[str, Deployed] = field(default_factory=dict)
    """The services by their names."""

    def find(self, hostname: str) -> Node | None:
        """Return the node of a host name; None where there is none."""
        return next((node for node in self.nodes if node.hostname == hostname), None)


def swarm_info(client: DockerClient, address: str) -> SwarmInfo:
    """Return what the Docker Engine at an address knows of its swarm. Raises one of UNREACHABLE."""
    info = client.api.info()
    swarm = info.get("Swarm") or {}
    if swarm.get("LocalNodeState") != "active":
        return _refused(
            f"Docker Engine at {address} is in no swarm. Make one there: docker swarm init. Or run on this machine alone: pulumi config set orchestrator docker"
        )
    if not swarm.get("ControlAvailable"):
        managers = ", ".join(str(manager["Addr"]).rpartition(":")[0] for manager in swarm.get("RemoteManagers") or [])
        return _refused(
            f"Docker Engine at {address} is a worker, and only a manager takes changes (managers: {managers}). Use one: pulumi config set dockerHost ssh://user@manager"
        )
    try:
        listed, services = client.api.nodes(), client.api.services()
    except (APIError, ReadTimeout) as error:
        if not is_without_quorum(error):
            raise
        return _refused(without_quorum(address))
    if _has_lost_quorum(listed):
        return _refused(without_quorum(address))
    return SwarmInfo(
        own=str(info.get("Name") or ""),
        nodes=sorted((_node(node) for node in listed), key=lambda node: node.hostname),
        published_ports={
            int(port["PublishedPort"]): str(service["Spec"]["Name"])
            for service in services
            for port in (service["Spec"].get("EndpointSpec") or {}).get("Ports") or []
            if port.get("PublishedPort")
        },
        deployed={str(service["Spec"]["Name"]): _deployed(service["Spec"]) for service in services},
    )


def _deployed(spec: Mapping[str, Any]) -> Deployed:
    template = spec.get("TaskTemplate") or {}
    constraints = (template.get("Placement") or {}).get("Constraints") or []
    compared = (str(constraint).replace(" ", "").partition("==") for constraint in constraints)
    mounts = (template.get("ContainerSpec") or {}).get("Mounts") or []
    return Deployed(
        node=next((node for key, _, node in compared if key == "node.hostname"), ""),
        volumes=tuple(str(mount["Source"]) for mount in mounts if mount.get("Type") == "volume"),
        labels={str(key): str(value) for key, value in (spec.get("Labels") or {}).items()},
    )


def _refused(reason: str) -> SwarmInfo:
    return SwarmInfo(refusal=reason, published_ports={})


def _node(reported: dict[str, Any]) -> Node:
    description, spec, status = reported["Description"], reported["Spec"], reported["Status"]
    return Node(
        hostname=str(description["Hostname"]),
        address=str(status.get("Addr") or ""),
        is_manager=spec.get("Role") == "manager",
        state=str(status.get("State")),
        availability=str(spec.get("Availability")),
        memory_mb=int((description.get("Resources") or {}).get("MemoryBytes") or 0) // 2**20,
        architecture=str((description.get("Platform") or {}).get("Architecture") or ""),
        labels=tuple(f"{key}={value}" for key, value in sorted((spec.get("Labels") or {}).items())),
    )


def is_without_quorum(error: BaseException | None) -> bool:
    """Tell whether an error is what a manager without a quorum answers, or that it does not answer."""
    return isinstance(error, ReadTimeout) or (
        isinstance(error, APIError) and any(text in str(error.explanation) for text in NO_QUORUM)
    )


def without_quorum(address: str) -> str:
    """Return the message that a swarm has no quorum."""
    return f"the swarm of {address} has lost its quorum: what runs goes on, and nothing can be changed. Start more of its managers; where they are lost: docker swarm init --force-new-cluster"


def _has_lost_quorum(listed: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a leader that still answers reaches too few managers: it notices only after seconds."""
    states = [node["ManagerStatus"].get("Reachability") for node in listed if node.get("ManagerStatus")]
    return bool(states) and 2 * states.count("reachable") <= len(states)
