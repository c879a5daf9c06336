"""What the tests of services share: inputs in the form that stays as it is, and a swarm in memory."""

import copy
from typing import Any

from docker.errors import APIError, NotFound

from offline.plugins.check import check
from offline.plugins.docker_provider.connection import Connection
from offline.plugins.docker_provider.images import SCHEMAS
from offline.plugins.docker_provider.service import SERVICE

Json = dict[str, Any]
ID = "service-1"
FULL: Json = {
    "name": "core",
    "labels": [{"label": "a", "value": "b"}],
    "taskSpec": {
        "containerSpec": {
            "image": "app:1",
            "commands": ["sh", "-c"],
            "args": ["run"],
            "env": {"SLOT": "{{.Task.Slot}}"},
            "hostname": "core-{{.Task.Slot}}",
            "user": "1:1",
            "dir": "/app",
            "groups": ["10"],
            "labels": [{"label": "l", "value": "m"}],
            "healthcheck": {"tests": ["CMD", "true"], "interval": "1m", "timeout": "5s", "retries": 3},
            "stopSignal": "SIGTERM",
            "stopGracePeriod": "1m30s",
            "readOnly": True,
            "mounts": [
                {"type": "volume", "source": "v", "target": "/v", "volumeOptions": {"noCopy": True}},
                {"type": "tmpfs", "target": "/volatile", "tmpfsOptions": {"mode": 0o777, "sizeBytes": 4096}},
                {"type": "bind", "source": "/b", "target": "/b", "readOnly": True},
            ],
            "configs": [{"configId": "c1", "configName": "conf", "fileName": "/etc/conf"}],
            "secrets": [{"secretId": "s1", "secretName": "pw", "fileName": "pw", "fileMode": 0o400, "fileUid": "9"}],
            "dnsConfig": {"nameservers": ["10.0.0.1"], "searches": ["x"], "options": ["ndots:1"]},
            "hosts": [{"host": "h", "ip": "10.0.0.2"}],
            "capAdds": ["CAP_CHOWN"],
            "capDrops": ["ALL"],
            "sysctl": {"net.core.somaxconn": "128"},
        },
        "resources": {"limits": {"memoryBytes": 64 * 2**20}, "reservation": {"nanoCpus": 10**8}},
        "restartPolicy": {"condition": "any", "delay": "1s", "maxAttempts": 0, "window": "0s"},
        "placement": {
            "constraints": ["node.labels.role == app"],
            "maxReplicas": 1,
            "prefs": ["spread=node.labels.rack"],
        },
        "logDriver": {"name": "json-file", "options": {"max-size": "10m"}},
        "networksAdvanceds": [{"id": "n1", "aliases": ["core", "app"]}],
    },
    "mode": {"replicated": {"replicas": 2}},
    "updateConfig": {"order": "start-first", "failureAction": "rollback", "delay": "1m"},
    "rollbackConfig": {"parallelism": 0},
    "endpointSpec": {"mode": "dnsrr", "ports": [{"targetPort": 80, "publishedPort": 8080, "publishMode": "host"}]},
    "convergeConfig": {"delay": "2s", "timeout": "20s"},
}


def service(*path_and_value: Any, **replaced: Any) -> Json:  # noqa: ANN401 - as wide as JSON
    """Return the full service with other top-level inputs, or with one value at a path; None removes it."""
    news = {**copy.deepcopy(FULL), **replaced}
    if path_and_value:
        *path, last, value = path_and_value
        target = news
        for key in path:
            target = target[key]
        target[last] = value
    return news


def complete(news: Json) -> Json:
    """Return the inputs that Check makes of a service."""
    inputs, refused = check(SCHEMAS[SERVICE], "own", news)
    assert refused == [], f"{news} is valid"
    return {key: value for key, value in inputs.items() if not key.startswith("__")}


class Swarm:
    """A Docker Engine that keeps one service, and reports of it what a real one was observed to report."""

    def __init__(self) -> None:
        self.service: Json = {}
        self.tasks_: list[Json] = []
        self.requests: list[str] = []
        self.digest = ""  # what its registry reports; without one there is no registry
        self.platforms: list[Json] = []
        self.update_status: Json = {}

    def connection(self) -> Connection:
        connection = Connection()
        connection.api = self
        return connection

    def run_tasks(self, count: int, state: str = "running") -> None:
        """Have this many tasks, of which the last is in the state given."""
        states = ["running"] * (count - 1) + [state] if count else []
        self.tasks_ = [task(slot, actual) for slot, actual in enumerate(states, start=1)]

    def _url(self, path: str) -> str:
        return path

    def _post_json(self, path: str, data: Json, params: Json) -> Json:
        self.requests.append(path)
        if path.endswith("/update"):
            assert params == {"version": self.service["Version"]["Index"]}, "an update names the version it is of"
        spec = {key: value for key, value in copy.deepcopy(data).items() if value is not None}
        index = self.service.get("Version", {}).get("Index", 0) + 1
        endpoint = {"Spec": {"Mode": spec["EndpointSpec"]["Mode"] or "vip"}, "Ports": spec["EndpointSpec"]["Ports"]}
        spec["Mode"] = spec["Mode"] or {"Replicated": {"Replicas": 1}}
        spec["TaskTemplate"]["Runtime"] = "container"
        policy = spec["TaskTemplate"]["RestartPolicy"]
        spec["TaskTemplate"]["RestartPolicy"] = policy or {"Condition": "any", "MaxAttempts": 0}
        self.service = {"ID": ID, "Version": {"Index": index}, "Spec": spec, "Endpoint": endpoint}
        return {"ID": ID}

    def _result(self, answer: Json, _: bool) -> Json:
        return answer

    def services(self) -> list[Json]:
        return [self.service] if self.service else []

    def inspect_service(self, identifier: str) -> Json:
        if not self.service:
            raise NotFound("", explanation=f"service {identifier} not found")
        return {**self.service, "UpdateStatus": self.update_status}

    def remove_service(self, identifier: str) -> None:
        self.inspect_service(identifier)
        self.requests.append(f"remove {identifier}")
        self.service = {}

    def tasks(self, filters: Json) -> list[Json]:
        return [
            item for item in self.tasks_ if item["DesiredState"] == filters.get("desired-state", item["DesiredState"])
        ]

    def nodes(self) -> list[Json]:
        return [{"ID": "up", "Status": {"State": "ready"}}, {"ID": "down", "Status": {"State": "down"}}]

    def inspect_distribution(self, image: str) -> Json:
        if not self.digest:
            raise APIError("", explanation=f"dial tcp: lookup of the registry of {image}: no such host")
        return {"Descriptor": {"digest": self.digest}, "Platforms": self.platforms}


def task(slot: int, state: str, desired: str = "running", node: str = "up", container: str = "") -> Json:
    """Return a task as Docker Engine lists it."""
    status = {"State": state, "ContainerStatus": {"ContainerID": container}}
    return {"Slot": slot, "DesiredState": desired, "Status": status, "NodeID": node}
