"""Remove a volume from all nodes of a swarm.

A manager has no request for that, so a global service runs a task on each node, which asks the Docker Engine there.
"""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from docker import DockerClient
from docker.types import ServiceMode
from requests.exceptions import RequestException

from components.orchestrator.commands import read_service_log
from components.orchestrator.hardening import DROPPED_CAPABILITIES
from components.orchestrator.swarm.jobs import LOG_SECONDS, job_service, new_name
from components.orchestrator.swarm.tasks import exit_code, has_ended
from components.templates.rendering import render

SOCKET = "/var/run/docker.sock"  # of the Docker Engine of each node
IN_USE_SECONDS = 180  # a removed service's tasks have that long to end: more than any part may take to stop
SWEEP_SECONDS = 900  # with the pull of the image
POLL_SECONDS = 0.5
MEMORY_MB = 64
REFUSED = 3  # exit code of remove-volume.sh
Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """On which nodes a volume remains, or may remain: reasons by host names.

    Docker Engine has `refused`, as while a container has the volume, or was `not_asked`, as on a node that is down.
    """

    refused: Mapping[str, str]
    not_asked: Mapping[str, str]


def remove_volume(client: DockerClient, volume: str, image: str) -> Sweep:
    """Remove a volume from all nodes, by tasks from an image with curl; it is no error where there is no such volume.

    Raises docker.errors.APIError where the swarm refuses the service.
    """
    template = sweep_template(volume, image)
    with job_service(client, new_name(volume, "rm"), template, ServiceMode("global")) as service:
        return _result(client, *_when_ended(client, service))


def sweep_template(volume: str, image: str) -> dict[str, Any]:
    """Return the template of the tasks. The socket belongs to root."""
    script = render("orchestrator/remove-volume.sh")
    return {
        "ContainerSpec": {
            "Image": image,
            "Command": ["/bin/sh", "-c", script, "sh", SOCKET, volume, str(IN_USE_SECONDS)],
            "User": "0:0",
            "CapabilityDrop": list(DROPPED_CAPABILITIES),
            "ReadOnly": True,
            # Where SELinux is enforced, it keeps containers from the socket.
            "Privileges": {"SELinuxContext": {"Disable": True}},
            "Healthcheck": {"Test": ["NONE"]},
            "Mounts": [{"Type": "bind", "Source": SOCKET, "Target": SOCKET}],
        },
        "Resources": {"Limits": {"MemoryBytes": MEMORY_MB * 2**20}},
        "RestartPolicy": {"Condition": "none"},
    }


def _when_ended(client: DockerClient, service: str) -> tuple[Sequence[Json], Mapping[str, Json]]:
    """Return all nodes, and the tasks of a service by their nodes, once those on nodes that take tasks have ended."""
    deadline = time.monotonic() + SWEEP_SECONDS
    while True:
        tasks = {str(task.get("NodeID")): task for task in client.api.tasks({"service": service})}
        nodes = client.api.nodes()
        if all(_absence(node) or has_ended(tasks.get(node["ID"], {})) for node in nodes) or time.monotonic() > deadline:
            return nodes, tasks
        time.sleep(POLL_SECONDS)


def _result(client: DockerClient, nodes: Sequence[Json], tasks: Mapping[str, Json]) -> Sweep:
    refused, not_asked = dict[str, str](), dict[str, str]()
    for node in nodes:
        hostname, task = str(node["Description"]["Hostname"]), tasks.get(node["ID"])
        if task is None or not has_ended(task):
            not_asked[hostname] = _absence(node) or f"no answer within {SWEEP_SECONDS} s"
        elif task["Status"]["State"] != "complete":
            (refused if exit_code(task) == REFUSED else not_asked)[hostname] = _reason(client, task)
    return Sweep(refused=refused, not_asked=not_asked)


def _absence(node: Json) -> str:
    """Return why a node is given no task; empty where it is given one."""
    state, availability = str(node["Status"]["State"]), str(node["Spec"]["Availability"])
    return state if state != "ready" else availability.removeprefix("active")


def _reason(client: DockerClient, task: Json) -> str:
    """Return what a task that has failed has printed, or why it could not run."""
    printed = ""
    if exit_code(task):
        with suppress(RequestException):
            log = read_service_log(client, task["ID"], of="tasks", tail="all", timeout_seconds=LOG_SECONDS)
            printed = b"".join(log).decode(errors="replace").strip()
        with suppress(ValueError):  # the answer of Docker Engine
            printed = json.loads(printed)["message"]
    return printed or str(task["Status"].get("Err") or task["Status"]["State"])
