"""The services of a swarm and their tasks, as a manager reports them."""

import base64
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from docker import DockerClient
from docker.errors import NotFound

from components.orchestrator.commands import raise_for_status
from components.orchestrator.container_paths import FILES
from components.orchestrator.containers import DOCKER_STOP_TIMEOUT_SECONDS

SERVICE_NAME = "dhis2-cluster.service"  # label of a service's containers, whose tasks may outlive it
ENVIRONMENT = f"{FILES}/environment"
# Of a service that was stopped: how many tasks it had. No node meets the constraint, by which a global one is stopped.
STOPPED_LABEL, NOWHERE = "dhis2-cluster.stopped", "node.hostname==dhis2-cluster-stopped"
ATTEMPTS, OUT_OF_SEQUENCE = 5, "update out of sequence"  # another update came in between
# A service has no property for no-new-privileges. In an image without util-linux a command runs without it.
BESIDE = f"{FILES}/beside.sh"
START = f'[ ! -f {ENVIRONMENT} ] || . {ENVIRONMENT}; exec $(command -v setpriv >/dev/null && echo setpriv --no-new-privs) "$@"'


def in_environment(command: Sequence[str]) -> list[str]:
    """Return a command with the environment of its container, and without new privileges where that can be had."""
    return ["/bin/sh", "-c", START, "sh", *command]


def beside(command: Sequence[str]) -> list[str]:
    """Return a command for a service as it runs in a container beside it."""
    return in_environment(["/bin/sh", "-c", f'[ ! -f {BESIDE} ] || set -- {BESIDE} "$@"; exec "$@"', "sh", *command])


def inspect_service(client: DockerClient, name: str) -> dict[str, Any] | None:
    """Return a service's inspection; None when there is no service of that name."""
    with suppress(NotFound):
        return dict(client.api.inspect_service(name))
    return None


def replicas_of(service: Mapping[str, Any]) -> int | None:
    """Return how many tasks a service is to have; None of a global one."""
    replicated = (service["Spec"].get("Mode") or {}).get("Replicated")
    return None if replicated is None else int(replicated.get("Replicas") or 0)


def is_stopped(service: Mapping[str, Any]) -> bool:
    """Tell whether a service is to have no tasks."""
    return replicas_of(service) == 0 or NOWHERE in _constraints(service["Spec"])


def tasks_before(service: Mapping[str, Any]) -> int:
    """Return how many tasks a service had before it was stopped; a global one has at least one."""
    return int((service["Spec"].get("Labels") or {}).get(STOPPED_LABEL) or 1)


def scale_to_none(spec: dict[str, Any]) -> None:
    """Change the spec of a service: it has no tasks, and a label has how many it had, for the next start."""
    replicated = (spec.get("Mode") or {}).get("Replicated")
    if replicated is None:
        constraints = [*_constraints(spec), *([] if NOWHERE in _constraints(spec) else [NOWHERE])]
        spec["TaskTemplate"]["Placement"] = {
            **(spec["TaskTemplate"].get("Placement") or {}),
            "Constraints": constraints,
        }
    elif replicated.get("Replicas"):
        spec["Labels"] = {**(spec.get("Labels") or {}), STOPPED_LABEL: str(replicated["Replicas"])}
        spec["Mode"] = {"Replicated": {"Replicas": 0}}


def scale_back(spec: dict[str, Any]) -> None:
    """Change the spec of a service that was stopped: it has the tasks it had before. Another one stays as it is."""
    replicated = (spec.get("Mode") or {}).get("Replicated")
    if NOWHERE in _constraints(spec):
        left = [constraint for constraint in _constraints(spec) if constraint != NOWHERE]
        spec["TaskTemplate"]["Placement"] = {**spec["TaskTemplate"]["Placement"], "Constraints": left}
    elif replicated is not None and not replicated.get("Replicas"):
        spec["Mode"] = {"Replicated": {"Replicas": int((spec.get("Labels") or {}).pop(STOPPED_LABEL, None) or 1)}}


def _constraints(spec: Mapping[str, Any]) -> list[str]:
    return (spec["TaskTemplate"].get("Placement") or {}).get("Constraints") or []


def stop_timeout_seconds(service: Mapping[str, Any]) -> int:
    """Return how long a task of a service has before it is killed."""
    nanoseconds = service["Spec"]["TaskTemplate"]["ContainerSpec"].get("StopGracePeriod")
    return int(nanoseconds / 1e9) if nanoseconds else DOCKER_STOP_TIMEOUT_SECONDS


def environment_of(client: DockerClient, service: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a service's commands, which is in a config."""
    configs = service["Spec"]["TaskTemplate"]["ContainerSpec"].get("Configs") or []
    found = next((config["ConfigID"] for config in configs if config["File"]["Name"] == ENVIRONMENT), None)
    if found is None:
        return {}
    words = shlex.split(config_text(client, found), comments=True)
    return dict(word.split("=", 1) for word in words if "=" in word)


def config_text(client: DockerClient, config: str) -> str:
    """Return the text of a config by its id."""
    return base64.b64decode(client.api.inspect_config(config)["Spec"]["Data"]).decode()  # type: ignore[no-untyped-call]


def tasks_of(client: DockerClient, name: str) -> list[dict[str, Any]]:
    """Return the tasks of a service, those that have ended too; none when there is no service of that name."""
    with suppress(NotFound):
        return list(client.api.tasks({"service": name}))
    return []


def running_tasks(client: DockerClient, name: str) -> list[dict[str, Any]]:
    """Return the tasks of a service that run and are meant to, the newest first."""
    running = [
        task
        for task in tasks_of(client, name)
        if task.get("DesiredState") == "running" and (task.get("Status") or {}).get("State") == "running"
    ]
    return sorted(running, key=lambda task: str(task["CreatedAt"]), reverse=True)


@dataclass(frozen=True)
class Hosts:
    """The nodes of a swarm by their ids: their host names, which of them are up, and which of these take tasks."""

    names: Mapping[str, str]
    up: Collection[str]
    taking: Collection[str] = ()


def hosts_of(client: DockerClient) -> Hosts:
    """Return the nodes as the managers know them."""
    nodes = client.api.nodes()
    names = {node["ID"]: str(node["Description"]["Hostname"]) for node in nodes}
    up = {node["ID"]: node.get("Spec") or {} for node in nodes if node["Status"]["State"] == "ready"}
    taking = {key for key, spec in up.items() if spec.get("Availability") == "active"}
    return Hosts(names, up.keys(), taking)


def update_service(client: DockerClient, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the spec of a service, and nothing else of it: with the SDK's own, the Engine's defaults would come in."""
    for attempt in range(ATTEMPTS):
        service = client.api.inspect_service(name)
        spec = service["Spec"]
        change(spec)
        url = f"{client.api.base_url}/v{client.api.api_version}/services/{service['ID']}/update"
        response = client.api.post(url, params={"version": service["Version"]["Index"]}, json=spec)
        if response.ok or attempt == ATTEMPTS - 1 or OUT_OF_SEQUENCE not in response.text:
            raise_for_status(response)
            return


def alive_tasks(client: DockerClient, name: str) -> list[dict[str, Any]]:
    """Return the tasks of a service that have not ended on nodes that are up."""
    hosts = hosts_of(client)
    return [task for task in tasks_of(client, name) if is_alive(task, hosts)]


def orphaned_tasks(client: DockerClient, name: str) -> set[str]:
    """Return the nodes, by host name, on which tasks of a removed service of this name have not ended."""
    service = inspect_service(client, name)
    hosts = hosts_of(client)
    found = set()
    for task in client.api.tasks():
        labels = ((task.get("Spec") or {}).get("ContainerSpec") or {}).get("Labels") or {}
        removed = labels.get(SERVICE_NAME) == name and (service is None or task.get("ServiceID") != service["ID"])
        if removed and is_alive(task, hosts):
            found.add(hosts.names[task["NodeID"]])
    return found


def is_alive(task: Mapping[str, Any], hosts: Hosts) -> bool:
    """Tell whether a container of a task may run: it was given to a node that is up and has not ended there."""
    state = (task.get("Status") or {}).get("State")
    return state in ("preparing", "ready", "starting", "running") and task.get("NodeID") in hosts.up
