"""A swarm of three nodes for unit tests: what preflight knows of it, and a manager in memory with one service."""

import asyncio
import base64
import copy
import io
import json
import struct
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
import requests
from docker.errors import NotFound

from components.orchestrator import readiness
from components.orchestrator.swarm import watcher
from components.orchestrator.swarm.nodes import Node, SwarmInfo
from components.orchestrator.swarm.services import Hosts
from tests.support.program import PREFIX, Recorded, Registered

Json = dict[str, Any]
T = TypeVar("T")
SERVICE, CONFIG, SECRET = (
    "docker:index/service:Service",
    "docker:index/serviceConfig:ServiceConfig",
    "docker:index/secret:Secret",
)
NODES = {"id-1": "db-1", "id-2": "db-2", "id-3": "app-1"}
HOSTS = Hosts(NODES, {"id-1", "id-2"})  # app-1 is down
CREATED = "2026-05-01T12:00:00.5Z"


def node(hostname: str = "db-1", **changed: object) -> Node:
    """Return a manager of 16000 MB that takes tasks, as preflight knows it."""
    facts: Json = {"address": "10.0.0.1", "is_manager": True, "state": "ready", "availability": "active"}
    facts |= {"memory_mb": 16_000, "architecture": "x86_64", "labels": ()}
    return Node(hostname=hostname, **facts | changed)


SWARM = SwarmInfo(
    own="db-1",
    nodes=(node("app-1", is_manager=False), node("db-1"), node("db-2", address="10.0.0.2")),
    published_ports={},
)
# With them a stack fits the swarm above: a primary, one replica, one core.
SETTINGS: Json = {"orchestrator": "swarm", "primaryNode": "db-1", "replicaNodes": "db-2", "bind": "0.0.0.0"}  # noqa: S104
ON_SWARM: Json = {"swarm": SWARM, **SETTINGS}


def service_of(recorded: Recorded, part: str) -> Json:
    """Return the inputs of a part's service."""
    return recorded.one(SERVICE, part).inputs


def container_of(recorded: Recorded, part: str) -> Json:
    """Return what the tasks of a part's service run."""
    container: Json = service_of(recorded, part)["taskSpec"]["containerSpec"]
    return container


def parts_of(recorded: Recorded) -> set[str]:
    """Return the parts that have a service."""
    return {item.inputs["name"].removeprefix(f"{PREFIX}-") for item in recorded.of(SERVICE)}


def files_of(recorded: Recorded, part: str) -> dict[str, Registered]:
    """Return the configs and secrets of a part's service by the paths of their files."""
    container, objects = container_of(recorded, part), {}
    for kind, key, reference in ((CONFIG, "configs", "configId"), (SECRET, "secrets", "secretId")):
        for entry in container.get(key, []):
            objects[entry["fileName"]] = recorded.one(kind, entry[reference].removesuffix("-id"))
    return objects


def a_service(replicas: int | None = 1, **changed: object) -> Json:
    """Return the inspection of a service with so many tasks; a global one where that is None."""
    container: Json = {"Image": "app@sha256:1", "Labels": {"dhis2-cluster.service": "app", "own": "label"}}
    container |= {"Hostname": "app", "Args": ["run"], "Healthcheck": {"Test": ["CMD", "true"]}, "User": "9:9"}
    container |= {"Mounts": [{"Source": "data", "Target": "/data"}], "Secrets": [{"File": {"Name": "/run/password"}}]}
    mb = {"MemoryBytes": 512 * 2**20}
    template = {
        "ContainerSpec": container,
        "Resources": {"Limits": mb, "Reservations": mb},
        "RestartPolicy": {"Condition": "any"},
        "Placement": {"Constraints": ["node.hostname==db-1"]},
        "Networks": [{"Target": "network-id", "Aliases": ["app"]}],
        "ForceUpdate": 3,
        "Runtime": "container",
    }
    mode: Json = {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}}
    spec = {"Name": "app", "TaskTemplate": template, "Mode": mode}
    return {"ID": "service-id", "Version": {"Index": 7}, "Spec": copy.deepcopy(spec), **changed}


def a_task(state: str = "running", desired: str = "running", **changed: object) -> Json:
    """Return a task of `a_service` on the first node; `code` is its exit code, `error` what the swarm says of it."""
    error, code = changed.pop("error", ""), changed.pop("code", 0)
    template = a_service()["Spec"]["TaskTemplate"]
    spec = {key: value for key, value in template.items() if key != "Runtime"}
    status = {"State": state, "Err": error, "ContainerStatus": {"ExitCode": code, "ContainerID": "container-id"}}
    facts = {"ID": "task", "NodeID": "id-1", "ServiceID": "service-id", "CreatedAt": CREATED, "Spec": spec}
    return {**facts, "DesiredState": desired, "Status": status, **changed}


def wait(awaited: Awaitable[T]) -> T:
    """Return the result of what does not wait for long."""

    async def result() -> T:
        return await asyncio.wait_for(awaited, 10)

    return asyncio.run(result())


def watched(swarm: "FakeSwarm", monkeypatch: pytest.MonkeyPatch) -> "FakeSwarm":
    """Return a swarm that is what watchers of this test connect to, and look at without a break."""
    monkeypatch.setattr(readiness, "connect", lambda _: swarm)
    for module in (readiness, watcher):
        monkeypatch.setattr(module, "POLL_SECONDS", 0.001)
    return swarm


class FakeSwarm:
    """A manager with `service` and its `tasks_`; jobs end with `job`, their state, exit code and error.

    `log` is printed by every service, or `frames` with their streams. `done` is what was created, removed and changed,
    `jobs` has the templates of jobs, `secrets` their contents, `files` the configs there have been, by name.
    `conflicts` is how many updates come in between.
    """

    base_url, api_version = "http+docker://localhost", "1.41"

    def __init__(self, service: Json | None = None, *tasks: Json) -> None:
        self.api, self.service, self.tasks_ = self, service, list(tasks)
        self.job, self.log, self.conflicts = ("complete", 0, ""), b"", 0
        self.done, self.jobs, self.files = list[str](), list[Json](), dict[str, Json]()
        self.log_error: Exception | None = None
        self.secrets: dict[str, bytes] = {}
        self.frames: list[tuple[int, bytes]] = []
        self.at_update: Callable[[], None] = lambda: None
        self.node_states: dict[str, str] = {}

    def inspect_service(self, name: str) -> Json:
        if self.service is None or name not in ("app", "service-id"):
            raise NotFound("no such service", explanation=f"service {name} not found")
        return copy.deepcopy(self.service)

    def tasks(self, filters: Mapping[str, str] | None = None) -> list[Json]:
        asked = (filters or {}).get("service", "app")
        if asked == "job-id":
            state, code, error = self.job
            return [a_task(state, code=code, error=error)] if state else []
        if filters and asked == "app" and self.service is None:
            raise NotFound("no such service")
        return self.tasks_

    def nodes(self) -> list[Json]:
        return [
            {"ID": key, "Description": {"Hostname": name}, "Status": {"State": self.node_states.get(name, "ready")}}
            for key, name in NODES.items()
        ]

    def create_service(self, template: Json, *, name: str, labels: Json, mode: Mapping[str, object]) -> Json:
        assert dict(mode) in ({"replicated": {"Replicas": 1}}, {"global": {}}), "tasks of a removed replicated-job stay"
        self.jobs.append(template)
        self.done.append(f"create {name} {json.dumps(labels)}")
        return {"ID": "job-id"}

    @property
    def images(self) -> SimpleNamespace:
        return SimpleNamespace(get=lambda _: SimpleNamespace(attrs={"Architecture": "amd64"}))

    def remove_service(self, identifier: str) -> None:
        self.done.append(f"remove {identifier}")

    def create_config(self, name: str, data: bytes, labels: Json) -> Json:
        self.files[name] = {"data": data, "labels": labels, "there": True}
        self.done.append("create config")
        return {"ID": f"id-of-{name}"}

    def configs(self, filters: Mapping[str, str]) -> list[Json]:
        label, _, value = filters["label"].partition("=")
        listed = [name for name, config in self.files.items() if config["there"] and config["labels"][label] == value]
        return [{"ID": f"id-of-{name}"} for name in listed]

    def create_secret(self, name: str, data: bytes) -> Json:
        self.secrets[name] = data
        self.done.append("create secret")
        return {"ID": "secret-id"}

    def remove_secret(self, identifier: str) -> None:
        self.done.append(f"remove {identifier}")

    def inspect_config(self, identifier: str) -> Json:
        return {"Spec": {"Data": base64.b64encode(self.files[identifier]["data"]).decode()}}

    def remove_config(self, identifier: str) -> None:
        self.files[identifier.removeprefix("id-of-")]["there"] = False
        self.done.append("remove config")

    def post(self, url: str, params: Json, json: Json) -> requests.Response:
        assert self.service and url.endswith(f"/v{self.api_version}/services/service-id/update"), url
        if self.conflicts:
            self.conflicts -= 1
            self.service["Version"]["Index"] += 1
            return _response(500, "rpc error: update out of sequence")
        assert params == {"version": self.service["Version"]["Index"]}, "an update names the version it is of"
        self.service["Spec"] = json
        self.done.append("update")
        self.at_update()
        return _response(200, "{}")

    def get(self, url: str, params: Json, *, stream: bool, timeout: float) -> "_Stream":
        of = url.removeprefix(f"{self.base_url}/v{self.api_version}/").removesuffix("/logs")
        assert url.endswith("/logs") and stream and timeout, url
        self.done.append(f"log of {of} with tail {params['tail']}")
        if self.log_error:
            raise self.log_error
        return _Stream(self.frames or [(1, self.log)])


class _Stream(SimpleNamespace):
    """A response with frames."""

    def __init__(self, contents: list[tuple[int, bytes]]) -> None:
        frames = b"".join(struct.pack(">BxxxL", number, len(text)) + text for number, text in contents if text)
        super().__init__(raw=io.BytesIO(frames), raise_for_status=lambda: None)

    def __enter__(self) -> "_Stream":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _response(status: int, text: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = text.encode()
    return response
