"""A manager of a swarm with one stack on three nodes, and the command line on it."""

import base64
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from docker.errors import NotFound

from cli import deployed, services
from components.orchestrator import readiness
from components.orchestrator.commands import STDERR, STDOUT
from components.orchestrator.swarm import watcher
from components.orchestrator.swarm.services import ENVIRONMENT
from tests.unit.cli.engine import KINDS, PREFIX, CommandLine

Json = dict[str, Any]
STARTED = "2026-05-01T12:00:00.123456789Z"
NODES = {"id-1": "node-1", "id-2": "node-2", "id-3": "node-3"}
MB = 2**20


def service(part: str, *tasks: Json, replicas: int | None = 1, one_shot: bool = False, **container: Any) -> Json:  # noqa: ANN401
    """What a manager reports of the service of a part, and its tasks in `tasks`; a global one without replicas."""
    template = {
        "ContainerSpec": {"Image": f"{part}@sha256:1", "StopGracePeriod": 70 * 10**9, **container},
        "RestartPolicy": {"Condition": "none" if one_shot else "any"},
        "Resources": {"Limits": {"MemoryBytes": 512 * MB}},
        "Placement": {},
    }
    mode: Json = {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}}
    spec = {"Name": f"{PREFIX}-{part}", "Labels": {}, "TaskTemplate": template, "Mode": mode}
    for each in tasks:
        each |= {"ServiceID": f"id-of-{part}", "ID": f"{part}-{each['ID']}"}
        each.setdefault("Spec", copy.deepcopy(template))
    return {"ID": f"id-of-{part}", "Version": {"Index": 1}, "Spec": spec, "tasks": list(tasks)}


def task(
    node: int = 1,
    state: str = "running",
    *,
    slot: int = 1,
    desired: str = "running",
    error: str = "",
    code: int = 0,
    created: str = STARTED,
    **changed: object,
) -> Json:
    """What a manager reports of a task on a node; its ID is completed by that of its service."""
    status = {"State": state, "Timestamp": STARTED, "Err": error}
    status["ContainerStatus"] = {"ContainerID": f"container-{node}-{slot}", "ExitCode": code} if node else {}  # type: ignore[assignment]
    facts = {"ID": f"{slot}-{node}-{state}", "Slot": slot, "NodeID": f"id-{node}" if node else "", "CreatedAt": created}
    return {**facts, "Status": status, "DesiredState": desired, **changed}


def whole_stack() -> list[Json]:
    """A healthy stack with three cores, two load balancers and a replica."""
    data = {"Type": "volume", "Source": f"{PREFIX}-primary-data", "Target": "/var/lib/postgresql"}
    run = {"Type": "volume", "Source": f"{PREFIX}-primary-run", "Target": "/run"}
    run |= {"VolumeOptions": {"DriverConfig": {"Options": {"type": "tmpfs"}}}}  # type: ignore[dict-item]
    file = {"ConfigID": "environment-of-backup", "File": {"Name": ENVIRONMENT}}
    return [
        service("core", task(2), task(3, slot=2), replicas=2, Hostname="cores-{{.Task.Slot}}"),
        service("core-1", task(1), Hostname="core-1"),
        service("lb", task(1, slot=0), task(3, slot=0), replicas=None),
        service("dump", task(2, "complete", desired="shutdown"), one_shot=True),
        service("cache", task(3)),
        service("primary", task(2), Mounts=[data, run]),
        service("replica-1", task(3)),
        service("backup", task(2), Configs=[file]),
    ]


@dataclass
class FakeManager:
    """The SDK's client of a manager. `answers` has the outputs of commands beside the tasks of a part, by part.

    `done` has the updates of services, `ran` the commands, `inputs` what they read.
    """

    services_: list[Json] = field(default_factory=whole_stack)
    answers: dict[str, str] = field(default_factory=dict)
    nodes_: dict[str, Json] = field(default_factory=dict)
    logged: dict[str, list[str]] = field(default_factory=dict)
    configs: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    ran: list[tuple[str, Sequence[str]]] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    swarm: Json = field(
        default_factory=lambda: {"LocalNodeState": "active", "ControlAvailable": True, "NodeID": "id-1"}
    )
    base_url, api_version = "http+docker://localhost", "1.41"

    @property
    def api(self) -> "FakeManager":
        return self

    def part(self, name: str) -> Json:
        """Return the service of a part."""
        return next(each for each in self.services_ if each["Spec"]["Name"] == f"{PREFIX}-{name}")

    def ping(self) -> None:
        """Answer."""

    def info(self) -> Json:
        return {"Swarm": self.swarm, "Name": "node-1"}

    def nodes(self) -> list[Json]:
        return [
            {
                "ID": key,
                "Description": {"Hostname": name},
                "Status": {"State": "ready", "Addr": f"10.0.0.{key[-1]}"} | self.nodes_.get(name, {}).get("Status", {}),
                "Spec": {"Role": "manager" if name == "node-1" else "worker", "Availability": "active"}
                | self.nodes_.get(name, {}).get("Spec", {}),
            }
            for key, name in NODES.items()
        ]

    def services(self, filters: Json | None = None) -> list[Json]:
        assert filters in (None, {"label": [f"dhis2-cluster.stack={PREFIX}"]})
        return self.services_

    def inspect_service(self, name: str) -> Json:
        for each in self.services_:
            if name in (each["ID"], each["Spec"]["Name"]):
                return copy.deepcopy(each)
        raise NotFound("no such service")

    def tasks(self, filters: Json) -> list[Json]:
        wanted = [filters["service"]] if isinstance(filters["service"], str) else filters["service"]
        found = [each for each in self.services_ if {each["ID"], each["Spec"]["Name"]} & set(wanted)]
        return [each for listed in found for each in listed["tasks"]]

    def inspect_image(self, name: str) -> Json:
        if not name.startswith("core"):
            raise NotFound("no such image")
        return {"RepoTags": ["dhis2/core:2.42"], "Config": {"Labels": {"DHIS2_VERSION": "2.42.3.1"}}}

    def inspect_config(self, name: str) -> Json:
        return {"Spec": {"Data": base64.b64encode(self.configs[name].encode()).decode()}}

    def post(self, url: str, params: Json, json: Json) -> requests.Response:
        found = next(each for each in self.services_ if f"/services/{each['ID']}/" in url)
        before, found["Spec"] = found["Spec"], json
        part, mode = found["Spec"]["Name"].removeprefix(f"{PREFIX}-"), json["Mode"]
        wanted = (mode.get("Replicated") or {}).get("Replicas")
        stopped = wanted == 0 or any(
            "stopped" in each for each in json["TaskTemplate"]["Placement"].get("Constraints", [])
        )
        forced = json["TaskTemplate"].get("ForceUpdate") != before["TaskTemplate"].get("ForceUpdate")
        self.done.append(f"{'restart' if forced else 'stop' if stopped else 'start'} {part}")
        if stopped:
            found["tasks"] = []
        else:
            slots = range(1, (wanted or 0) + 1) if wanted else [0]
            tasks = [task(1, slot=slot) for slot in slots]
            found["tasks"] = service(part, *tasks)["tasks"]
            for each in found["tasks"]:
                each["Spec"] = copy.deepcopy(json["TaskTemplate"])
        response = requests.Response()
        response.status_code = 200
        return response

    def run_job(self, _: "FakeManager", name: str, command: Sequence[str]) -> tuple[int, str]:
        part = name.removeprefix(f"{PREFIX}-")
        self.ran.append((part, command))
        words = " ".join(command)
        key = next((f"{part} {kind}" for kind, text in KINDS.items() if text in words), part)
        return (0, self.answers[key]) if key in self.answers else (1, "")

    def follow_job(self, _: Any, name: str, command: Sequence[str], show: Any, stdin: str) -> Any:  # noqa: ANN401
        self.inputs.append(stdin)
        code, output = self.run_job(self, name, command)
        frames = [(STDERR, b"progress\n"), (STDOUT, output.encode())]
        for frame in frames if show else ():
            show(frame)
        return code, frames

    def read_task_log(self, _: Any, name: str, **options: Any) -> Iterator[bytes]:  # noqa: ANN401 - since, tail, ...
        yield from (f"{line}\n".encode() for line in self.logged.get(name, []))


@pytest.fixture
def manager(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> FakeManager:
    """A swarm with a healthy stack, which the command line works on."""
    fake = FakeManager()
    command_line.settings = {
        "orchestrator": "swarm",
        "primaryNode": "node-2",
        "replicaNodes": "node-3",
        "lbNodes": "node-1,node-3",
        "bind": "0.0.0.0",  # noqa: S104 - of the nodes
        "cores": 3,
        "fileStore": "nfs://server/export",
        "backupSchedule": "manual",
    }
    for module in (deployed, readiness):
        monkeypatch.setattr(module, "connect", lambda *_, **__: fake)
    for module in (readiness, watcher):
        monkeypatch.setattr(module, "POLL_SECONDS", 0.001)
    for name in ("run_job", "follow_job", "read_task_log"):
        monkeypatch.setattr(services, name, getattr(fake, name))
    return fake
