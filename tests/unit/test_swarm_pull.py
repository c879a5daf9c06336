"""An image on the nodes of a swarm."""

import re
from typing import Any

import pytest

from components.orchestrator.hardening import DROPPED_CAPABILITIES
from components.orchestrator.swarm import pull
from components.orchestrator.swarm.pull import pull_on_nodes
from tests.support.swarm import FakeSwarm, a_service, a_task, watched


@pytest.fixture
def swarm(monkeypatch: pytest.MonkeyPatch) -> FakeSwarm:
    """A swarm on whose first node a task of a global service ends well."""
    return watched(FakeSwarm(a_service(), a_task()), monkeypatch)


def pulled(swarm: Any, seconds: int = 60) -> dict[str, str]:  # noqa: ANN401 - a fake Docker client
    return pull_on_nodes(swarm, "app", "app@sha256:2", ["node.hostname==db-1"], seconds)


def test_an_image_is_pulled_by_a_task_that_ends_on_each_node_of_its_architecture(swarm: FakeSwarm) -> None:
    assert pulled(swarm) == {}
    (template,) = swarm.jobs
    assert template["ContainerSpec"]["Image"] == "app@sha256:2"
    assert template["ContainerSpec"]["Command"] == ["/bin/sh", "-c", "exit 0"]
    assert template["ContainerSpec"]["CapabilityDrop"] == list(DROPPED_CAPABILITIES)
    platforms = [{"Architecture": "amd64", "OS": "linux"}]
    assert template["Placement"] == {"Constraints": ["node.hostname==db-1"], "Platforms": platforms}
    assert template["RestartPolicy"] == {"Condition": "none"}
    created, removed = swarm.done
    assert re.fullmatch(r'create app-image-[0-9a-f]{6} \{"dhis2-cluster.job": "true"\}', created)
    assert removed == "remove job-id"


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        (("rejected", 0, "No such image: app@sha256:2"), "No such image: app@sha256:2"),
        (("failed", 1, "task: non-zero exit (1)"), "task: non-zero exit (1)"),
        (("failed", 0, ""), "failed"),
    ],
)
def test_a_node_that_cannot_pull_is_named_with_the_reason(
    swarm: FakeSwarm, job: tuple[str, int, str], reason: str
) -> None:
    swarm.job = job
    assert pulled(swarm) == {"db-1": reason}
    assert swarm.done[-1] == "remove job-id"


def test_a_pull_on_nodes_does_not_wait_without_an_end(swarm: FakeSwarm, monkeypatch: pytest.MonkeyPatch) -> None:
    swarm.job = ("preparing", 0, "")
    with pytest.raises(TimeoutError, match="app@sha256:2 on all nodes was not there within 0 s"):
        pulled(swarm, seconds=0)
    assert swarm.done[-1] == "remove job-id"
    monkeypatch.setattr(pull, "NO_TASK_SECONDS", 0)
    swarm.job = ("", 0, "")
    assert pulled(swarm) == {}, "no node takes a task"
