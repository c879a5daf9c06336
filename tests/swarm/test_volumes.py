"""The removal of a volume from all nodes of a swarm: in use, absent, and on nodes that take no tasks."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from docker.errors import NotFound

from components.orchestrator.swarm import sweep
from components.orchestrator.swarm.sweep import Sweep, remove_volume
from tests.support.project import NGINX
from tests.support.waiting import until
from tests.swarm.lab import Swarm
from tests.swarm.node import Node

pytestmark = pytest.mark.swarm

VOLUME, OTHER = "swept", "swept-other"
SWEPT = Sweep(refused={}, not_asked={})


@pytest.fixture(autouse=True)
def volumes(swarm: Swarm) -> Iterator[None]:
    """Create two volumes on each node, which are removed at the end, as what the removal has left on them."""
    for node in swarm.nodes:
        with closing(node.client()) as client:
            for name in (VOLUME, OTHER):
                client.volumes.create(name)
    yield
    swarm.restore()
    for node in swarm.nodes:
        with closing(node.client()) as client:
            for container in client.containers.list(all=True, filters={"volume": VOLUME}, ignore_removed=True):
                container.remove(force=True)
            for volume in client.volumes.list(filters={"name": VOLUME}):
                volume.remove()


def swept(swarm: Swarm) -> Sweep:
    """Remove the volume through the manager."""
    with closing(swarm.manager.client()) as client:
        # By its id, as an image that was loaded.
        return remove_volume(client, VOLUME, str(client.images.get(NGINX).id))


def has(node: Node, name: str = VOLUME) -> bool:
    """Return whether a volume is on a node."""
    with closing(node.client()) as client:
        try:
            return bool(client.volumes.get(name))
        except NotFound:
            return False


def use(node: Node, seconds: int) -> str:
    """Have a container use the volume for some time, and remove itself; return its id."""
    mounts = {VOLUME: {"bind": "/data", "mode": "rw"}}
    with closing(node.client()) as client:
        command = ["sh", "-c", f"sleep {seconds}"]
        container = client.containers.run(
            NGINX, command, entrypoint="", volumes=mounts, detach=True, remove=True, init=True
        )
        return str(container.id)


def left(swarm: Swarm) -> list[str]:
    """Return the services of removals, and their containers on all nodes."""
    with closing(swarm.manager.client()) as client:
        found = [str(service.name) for service in client.services.list(filters={"name": VOLUME})]  # type: ignore[no-untyped-call]
    for node in swarm.nodes:
        with closing(node.client()) as client:
            listed = client.containers.list(all=True, filters={"name": VOLUME}, ignore_removed=True)
            found += [f"{container.name} on {node.hostname}" for container in listed]
    return found


def test_a_volume_is_removed_from_all_nodes_and_no_other_one(swarm: Swarm) -> None:
    with closing(swarm.nodes[1].client()) as client:
        client.volumes.get(VOLUME).remove()  # no task has mounted it there
    assert swept(swarm) == SWEPT
    assert [has(node) for node in swarm.nodes] == [False] * 3
    assert [has(node, OTHER) for node in swarm.nodes] == [True] * 3
    until(lambda: not left(swarm), "the tasks of the removal to be removed")


def test_a_volume_is_removed_when_the_container_that_uses_it_has_ended(swarm: Swarm) -> None:
    use(swarm.nodes[2], seconds=4)
    assert swept(swarm) == SWEPT
    assert not has(swarm.nodes[2])


def test_what_uses_a_volume_for_too_long_is_named_by_its_node(swarm: Swarm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "IN_USE_SECONDS", 2)
    container = use(swarm.nodes[1], seconds=600)
    result = swept(swarm)
    assert result.refused.keys() == {"node-2"} and not result.not_asked
    assert container in result.refused["node-2"], "Docker Engine names the container"
    assert [has(node) for node in swarm.nodes] == [False, True, False]
    until(lambda: not left(swarm), "the tasks of the removal to be removed")


def test_nodes_that_take_no_tasks_are_named(swarm: Swarm) -> None:
    drained, down = swarm.nodes[1:]
    swarm.drain(drained)
    down.cut_power()
    swarm.wait_until_down(down)
    assert swept(swarm) == Sweep(refused={}, not_asked={"node-2": "drain", "node-3": "down"})
    assert not has(swarm.nodes[0])
    swarm.restore()
    assert has(drained) and has(down), "it is left to the command in the warning"


def test_a_node_where_the_image_cannot_be_had_is_named(swarm: Swarm) -> None:
    with closing(swarm.manager.client()) as client:
        result = remove_volume(client, VOLUME, "sha256:" + "0" * 64)
    assert result.not_asked.keys() == {"node-1", "node-2", "node-3"}
    assert all("no such image" in reason.lower() for reason in result.not_asked.values()), result
