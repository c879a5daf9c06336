"""The nodes of a swarm as a manager reports them, and why a swarm cannot be used."""

from collections.abc import Mapping
from typing import Any

import pytest
from docker.errors import APIError
from requests.exceptions import ReadTimeout

from components.orchestrator.swarm.nodes import Deployed, SwarmInfo, swarm_info
from tests.support.swarm import Json, node
from tests.unit.test_preflight import Engine

ADDRESS = "ssh://me@db-1"
MANAGER: Json = {"LocalNodeState": "active", "ControlAvailable": True}


class Manager(Engine):
    """A Docker Engine in a swarm, with these nodes and services."""

    def __init__(
        self,
        swarm: Mapping[str, object] = MANAGER,
        nodes: tuple[Json, ...] = (),
        services: tuple[Json, ...] = (),
        swarm_error: str | Exception = "",
        **more: Any,  # noqa: ANN401 - of the Docker Engine
    ) -> None:
        super().__init__(Swarm=swarm, Name="db-1", **more)
        self._nodes, self._services, self._swarm_error = nodes, services, swarm_error

    def nodes(self) -> list[Json]:
        if isinstance(self._swarm_error, Exception):
            raise self._swarm_error
        if self._swarm_error:
            raise APIError("503", explanation=self._swarm_error)
        return list(self._nodes)

    def services(self) -> list[Json]:
        return list(self._services)


def reported(hostname: str, role: str = "manager", availability: str = "active", **more: object) -> Json:
    """Return a node as Docker Engine lists it."""
    return {
        "Description": {
            "Hostname": hostname,
            "Resources": {"MemoryBytes": 16_000 * 2**20},
            "Platform": {"Architecture": "x86_64"},
        },
        "Spec": {"Role": role, "Availability": availability},
        "Status": {"State": "ready", "Addr": "10.0.0.1"},
        **more,
    }


def publishing(name: str, *ports: int) -> Json:
    return {"Spec": {"Name": name, "EndpointSpec": {"Ports": [{"PublishedPort": port} for port in ports]}}}


def reported_by(manager: Any) -> SwarmInfo:  # noqa: ANN401 - a fake Docker client
    return swarm_info(manager, ADDRESS)


THREE = (reported("db-1"), reported("app-1", "worker"), reported("db-2"))


@pytest.mark.parametrize(
    ("swarm", "refusal", "fix"),
    [
        ({"LocalNodeState": "inactive"}, f"Docker Engine at {ADDRESS} is in no swarm", "docker swarm init"),
        ({}, "is in no swarm", "pulumi config set orchestrator docker"),
        ({"LocalNodeState": "locked"}, "is in no swarm", "docker swarm init"),
        (
            {
                "LocalNodeState": "active",
                "ControlAvailable": False,
                "RemoteManagers": [{"Addr": "10.0.0.1:2377"}, {"Addr": "[fd00::1]:2377"}],
            },
            "is a worker, and only a manager takes changes (managers: 10.0.0.1, [fd00::1])",
            "pulumi config set dockerHost ssh://user@manager",
        ),
    ],
    ids=["inactive", "unknown", "locked", "worker"],
)
def test_a_docker_engine_that_manages_no_swarm_is_refused(swarm: Json, refusal: str, fix: str) -> None:
    found = reported_by(Manager(swarm))
    assert refusal in found.refusal and fix in found.refusal
    assert not found.nodes and not found.published_ports


@pytest.mark.parametrize(
    "error",
    [
        "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers",
        "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        ReadTimeout("timed out"),
    ],
    ids=["no leader", "none yet", "no answer"],
)
def test_a_swarm_without_quorum_is_refused_with_what_brings_it_back(error: str | Exception) -> None:
    refusal = reported_by(Manager(swarm_error=error)).refusal
    assert "has lost its quorum" in refusal and "docker swarm init --force-new-cluster" in refusal


@pytest.mark.parametrize(
    ("states", "lost"),
    [
        (["reachable", "reachable", "unreachable"], False),
        (["reachable", "unreachable", "unreachable"], True),
        (["reachable", "unreachable"], True),
        (["reachable"], False),
    ],
    ids=["two of three", "one of three", "one of two", "one of one"],
)
def test_a_leader_that_has_just_lost_its_quorum_is_not_asked_for_changes(states: list[str], lost: bool) -> None:
    nodes = (*(reported("x", ManagerStatus={"Reachability": state}) for state in states), reported("y", "worker"))
    assert ("has lost its quorum" in reported_by(Manager(nodes=nodes)).refusal) == lost


def test_another_error_of_a_manager_is_not_taken_for_a_lost_quorum() -> None:
    with pytest.raises(APIError, match="disk"):
        reported_by(Manager(swarm_error="no space left on disk"))


def test_the_nodes_of_a_swarm_are_sorted_by_their_host_names() -> None:
    found = reported_by(Manager(nodes=THREE))
    assert (found.own, found.refusal) == ("db-1", "")
    assert [item.hostname for item in found.nodes] == ["app-1", "db-1", "db-2"], "the order of the list is random"
    assert found.find("app-1") == found.nodes[0] and found.find("app-9") is None
    first = found.nodes[1]
    assert (first.memory_mb, first.architecture, first.address) == (16_000, "x86_64", "10.0.0.1")
    assert first.is_manager and not found.nodes[0].is_manager


def test_a_node_that_reports_little_is_one_all_the_same() -> None:
    facts = {"Description": {"Hostname": "x"}, "Spec": {"Role": "worker"}, "Status": {"State": "down"}}
    (found,) = reported_by(Manager(nodes=(facts,))).nodes
    assert (found.memory_mb, found.architecture, found.address, found.labels) == (0, "", "", ())
    assert not found.takes_tasks


def test_published_ports_are_known_with_their_services() -> None:
    services = (publishing("web", 80, 443), publishing("internal"), {"Spec": {"Name": "bare"}}, publishing("any", 0))
    assert reported_by(Manager(services=services)).published_ports == {80: "web", 443: "web"}


def test_services_are_known_with_their_nodes_volumes_and_labels() -> None:
    mounts = [{"Type": "volume", "Source": "data"}, {"Type": "tmpfs", "Target": "/tmp"}]  # noqa: S108
    services = [
        {
            "Spec": {
                "Name": name,
                "Labels": labels,
                "TaskTemplate": {"ContainerSpec": {"Mounts": mounts}, "Placement": {"Constraints": constraints}},
            }
        }
        for name, constraints, labels in (
            ("a", ["node.hostname == db-1"], {"x": 1}),
            ("b", ["node.hostname!=db-1"], None),
        )
    ]
    assert reported_by(Manager(services=(*services, {"Spec": {"Name": "bare"}}))).deployed == {
        "a": Deployed(node="db-1", volumes=("data",), labels={"x": "1"}),
        "b": Deployed(volumes=("data",)),
        "bare": Deployed(),
    }


def test_a_node_is_listed_as_the_swarm_sees_it() -> None:
    drained = node("x", is_manager=False, state="down", availability="drain", labels=("disk=ssd",))
    assert str(drained) == "x (worker, down, drain, 16000 MB, disk=ssd)"
    assert str(node("y")) == "y (manager, ready, 16000 MB)"
