"""Have an image on the nodes of a swarm before anything is stopped for it.

A manager has no request for that, so a global service starts the image on each node, where it ends at once.
"""

import time
from collections.abc import Sequence
from typing import Any

from docker import DockerClient
from docker.types import ServiceMode

from components.orchestrator.hardening import DROPPED_CAPABILITIES
from components.orchestrator.swarm.jobs import POLL_SECONDS, job_service, new_name
from components.orchestrator.swarm.services import hosts_of
from components.orchestrator.swarm.tasks import has_ended

NO_TASK_SECONDS = 10


def pull_on_nodes(
    client: DockerClient, service: str, image: str, constraints: Sequence[str], seconds: int
) -> dict[str, str]:
    """Have an image of the manager on all nodes that meet constraints; return why it cannot be used, by host name.

    Nodes of other architectures and those that take no tasks are left out.
    Raises TimeoutError where that takes longer.
    """
    architecture = client.images.get(image).attrs.get("Architecture")
    template = {
        "ContainerSpec": {
            "Image": image,
            "Command": ["/bin/sh", "-c", "exit 0"],
            "CapabilityDrop": list(DROPPED_CAPABILITIES),
            "ReadOnly": True,
            "Healthcheck": {"Test": ["NONE"]},
        },
        "RestartPolicy": {"Condition": "none"},
        "Placement": {
            "Constraints": list(constraints),
            "Platforms": [{"Architecture": architecture, "OS": "linux"}] if architecture else [],
        },
    }
    with job_service(client, new_name(service, "image"), template, ServiceMode("global")) as job:
        tasks = _ended(client, job, f"{image} on all nodes", seconds)
    names = hosts_of(client).names
    statuses = {names.get(str(task.get("NodeID")), "a node"): task["Status"] for task in tasks}
    return {
        node: str(status.get("Err") or status["State"])
        for node, status in sorted(statuses.items())
        if status["State"] != "complete"
    }


def _ended(client: DockerClient, job: str, what: str, seconds: int) -> list[dict[str, Any]]:
    """Return the tasks of a global service once all have ended; none where no node takes one."""
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        tasks: list[dict[str, Any]] = client.api.tasks({"service": job})
        # Those of one service are created at once.
        if all(map(has_ended, tasks)) and (tasks or time.monotonic() > began + NO_TASK_SECONDS):
            return tasks
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"{what} was not there within {seconds} s")
