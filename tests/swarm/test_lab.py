"""The harness: a swarm is formed, its nodes fail and come back, and nothing of it is left on the machine."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from docker.models.containers import Container
from docker.models.services import Service
from docker.types import EndpointSpec, ServiceMode

from tests.support.commands import execute, shell_output
from tests.support.project import NGINX, ROOT
from tests.support.waiting import until
from tests.support.web_server import served
from tests.swarm.lab import Swarm
from tests.swarm.network import Lan
from tests.swarm.runs import Run

pytestmark = pytest.mark.swarm

PORT = 8080
# A swarm of one node, whose process then waits to be killed.
LONE_SWARM = "import time; from tests.swarm.lab import Swarm; s = Swarm(nodes=1); s.__enter__(); print(s.run.index, flush=True); time.sleep(600)"


@contextmanager
def service(swarm: Swarm, name: str, replicas: int, **options: object) -> Iterator[Service]:
    """Create a service of NGINX, wait until all its tasks run, and remove it at the end."""
    with closing(swarm.manager.client()) as client:
        created = client.services.create(NGINX, name=name, mode=ServiceMode("replicated", replicas), **options)
        try:
            until(lambda: len(running_on(swarm, created)) == replicas, f"{replicas} tasks of {name} to run")
            yield created
        finally:
            created.remove()
            until(lambda: not containers(swarm, name), f"the containers of {name} to be removed")


def running_on(swarm: Swarm, created: Service) -> list[str]:
    """Return the hostnames of the nodes on which a service's tasks are to run and do."""
    hostnames = {node.id: node.hostname for node in swarm.nodes}
    tasks = created.tasks(filters={"desired-state": "running"})
    return sorted(hostnames[task["NodeID"]] for task in tasks if task["Status"]["State"] == "running")


def containers(swarm: Swarm, name: str) -> list[Container]:
    """Return the containers of a service on all nodes that are on."""
    label = {"label": f"com.docker.swarm.service.name={name}"}
    clients = [node.client() for node in swarm.nodes if node.is_on]
    return [each for client in clients for each in client.containers.list(True, filters=label, ignore_removed=True)]


@pytest.fixture
def name() -> str:
    """Return a name that no other test has."""
    return f"web-{uuid.uuid4().hex[:6]}"


@pytest.fixture(scope="class")
def web(swarm: Swarm) -> Iterator[Service]:
    """Return a service with a task on each node, in an overlay network, at a port of each node."""
    name = f"web-{uuid.uuid4().hex[:6]}"
    network = swarm.manager.client().networks.create(name, driver="overlay", attachable=True)
    ports = EndpointSpec(mode="dnsrr", ports={PORT: (PORT, "tcp", "host")})
    with service(swarm, name, len(swarm.nodes), networks=[name], endpoint_spec=ports, maxreplicas=1) as created:
        yield created
    network.remove()


def test_all_nodes_are_ready_under_their_names(swarm: Swarm) -> None:
    listed = [node.attrs for node in swarm.manager.client().nodes.list()]  # type: ignore[no-untyped-call]
    seen = sorted((each["Description"]["Hostname"], each["Spec"]["Role"], each["Status"]["State"]) for each in listed)
    assert seen == [("node-1", "manager", "ready"), ("node-2", "worker", "ready"), ("node-3", "worker", "ready")]
    assert swarm.leader is swarm.nodes[0]
    for node in swarm.nodes:
        assert node.run("uname", "-n").stdout.strip() == node.hostname
        assert node.address in node.run("ip", "address", "show", "eth0").stdout


def test_an_unknown_name_does_not_exist_at_once(swarm: Swarm) -> None:
    question = b"\x12\x34\x01\x00\x00\x01" + 6 * b"\x00" + b"\x02no\x04such\x00" + b"\x00\x01\x00\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(question, (Lan(swarm.run.name, swarm.run.index).resolver_address, 53))
        answer = client.recv(512)
    assert answer[:2] == question[:2] and answer[3] & 0xF == 3, "NXDOMAIN; a time-out would cost each name 5 s"
    assert answer[12:] == question[12:], "a resolver drops answers to other questions"


class TestServiceOnAllNodes:
    def test_published_ports_of_all_nodes_are_reached(self, swarm: Swarm, web: Service) -> None:
        assert running_on(swarm, web) == [node.hostname for node in swarm.nodes]
        for node in swarm.nodes:
            assert httpx.get(f"http://{node.address}:{PORT}/").status_code == 200, f"{node.hostname} runs a task"

    def test_tasks_reach_those_of_other_nodes_by_name(self, swarm: Swarm, web: Service) -> None:
        container = containers(swarm, str(web.name))[0]

        def found() -> set[str]:
            return {
                line.split()[0]
                for line in execute(container, "getent", "ahostsv4", f"tasks.{web.name}")[1].splitlines()
            }

        until(lambda: len(found()) == len(swarm.nodes), f"tasks.{web.name} to be those of all nodes")
        for address in found():
            shell_output(container, f"curl --fail --silent --output /dev/null http://{address}:{PORT}/")

    def test_containers_on_all_nodes_reach_a_server_of_the_test(
        self, swarm: Swarm, web: Service, tmp_path: Path
    ) -> None:
        (tmp_path / "page").write_text("from the test")
        with served(tmp_path, swarm.address) as url:
            command = f"curl --fail --silent {url}/page"
            answers = [shell_output(each, command) for each in containers(swarm, str(web.name))]
        assert answers == ["from the test"] * len(swarm.nodes)


def test_tasks_move_from_a_node_without_power_and_it_comes_back_with_its_data(swarm: Swarm, name: str) -> None:
    _, node_2, node_3 = swarm.nodes
    try:
        volume = node_3.client().volumes.create(name)
        with service(swarm, name, 2, constraints=["node.role == worker"], maxreplicas=2) as created:
            assert running_on(swarm, created) == [node_2.hostname, node_3.hostname]
            node_3.cut_power()
            swarm.wait_until_down(node_3)
            moved = [node_2.hostname] * 2
            until(lambda: running_on(swarm, created) == moved, "both tasks to run on the other node")
            node_3.boot()
            swarm.wait_until_ready()
            assert running_on(swarm, created) == moved, "Swarm moves no task back"
        assert node_3.client().volumes.get(volume.name), "a power cut loses no data"
        assert node_3.client().images.list(NGINX), "nor images"
        node_3.client().volumes.get(volume.name).remove()
    finally:
        swarm.restore()


def test_a_drained_node_has_no_tasks_until_it_is_active(swarm: Swarm, name: str) -> None:
    _, node_2, node_3 = swarm.nodes
    try:
        with service(swarm, name, 2, constraints=["node.role == worker"]) as created:
            swarm.drain(node_2)
            until(lambda: running_on(swarm, created) == [node_3.hostname] * 2, "both tasks to run on the other node")
            swarm.activate(node_2)
            created.reload()
            created.scale(4)  # type: ignore[no-untyped-call]
            until(lambda: node_2.hostname in running_on(swarm, created), "a new task to run on the active node")
    finally:
        swarm.restore()


def test_a_disconnected_node_is_down_until_it_is_connected(swarm: Swarm) -> None:
    node_3 = swarm.nodes[2]
    try:
        node_3.disconnect()
        swarm.wait_until_down(node_3)
        assert node_3.client().ping(), "it runs; only the others do not reach it"  # type: ignore[no-untyped-call]
        node_3.connect()
        swarm.wait_until_ready()
    finally:
        swarm.restore()


def test_a_label_of_a_node_places_tasks(swarm: Swarm, name: str) -> None:
    swarm.label(swarm.nodes[1], role="web")
    try:
        with service(swarm, name, 2, constraints=["node.labels.role == web"]) as created:
            assert running_on(swarm, created) == [swarm.nodes[1].hostname] * 2
    finally:
        swarm.label(swarm.nodes[1])


def test_another_manager_leads_when_the_leader_has_no_power() -> None:
    with Swarm(nodes=3, managers=3, hostnames=["berlin", "oslo", "lome"]) as swarm:
        assert [node.info()["ControlAvailable"] for node in swarm.nodes] == [True] * 3
        leader = swarm.leader
        assert leader and leader.hostname == "berlin"
        leader.cut_power()
        until(lambda: swarm.leader not in (None, leader), "another manager to lead")
        swarm.restore()
        assert swarm.leader is not leader, "it comes back as a follower"


def test_a_closed_swarm_leaves_nothing(swarm: Swarm) -> None:
    with Swarm(nodes=1, images=[NGINX]) as second:
        run = second.run
        assert second.address != swarm.address, "two swarms on one machine have their own networks"
        client = second.nodes[0].client()
        client.containers.run(NGINX, detach=True)
        kinds = "\n".join(run.leftovers())
        for each in (str(run.folder), "/sys/class/net/", f"{run.name}-lan", "/sys/fs/cgroup/"):
            assert each in kinds, "what is to be removed is there"
    assert not run.leftovers()


@pytest.mark.parametrize("guard_too", [False, True], ids=["by its guard", "by the next run"])
def test_a_killed_process_leaves_nothing(guard_too: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", LONE_SWARM], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        run = Run(int(process.stdout.readline()))
        assert run.leftovers(), "the swarm is there"
        if guard_too:
            os.kill(guard_of(process.pid), signal.SIGKILL)
        process.kill()
    if guard_too:
        assert run.leftovers(), "nothing has removed it yet"
        Run.claim().release()
    until(lambda: not run.leftovers(), "everything to be removed")


def guard_of(process: int) -> int:
    """Return the process that guards the swarm of a process."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return next(int(each) for each in children if b"tests.swarm.guard" in Path("/proc", each, "cmdline").read_bytes())
