"""A Docker Engine with one stack, and the command line on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError, NotFound

from cli import app, containers, deployed, target
from cli.target import Target
from components.settings.parsing import parse_settings

PREFIX = "dhis2-cluster-dev"
STARTED = "2026-05-01T12:00:00.123456789Z"
PRIMARY: dict[str, Any] = {
    "version": "17.2",
    "standby": False,
    "lsn": 1_048_576,
    "state": None,
    "lag_seconds": None,
    "sessions": 9,
    "read_sessions": 0,
    "last_read_seconds": None,
    "table_scans": 40,
}
# Of commands, beside those that ask the server itself.
KINDS = {
    "du": "du -sk",
    "analytics": "analytics.sh",
    "certificate": "current.pem",
    "self-signed": "self-signed.pem",
    "renewal": "health.sh",
}
REPLICA = PRIMARY | {
    "standby": True,
    "lsn": 1_048_064,
    "state": "streaming",
    "lag_seconds": 0,
    "sessions": 4,
    "read_sessions": 4,
    "last_read_seconds": 2.4,
    "table_scans": 3041,
}


def container(part: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any of Docker's values
    """What Docker Engine reports of a healthy container of a part."""
    state = {"Status": "running", "StartedAt": STARTED, "ExitCode": 0, "Health": {"Status": "healthy", "Log": []}}
    return {
        "Name": f"/{PREFIX}-{part}",
        "RestartCount": changes.pop("restarts", 0),
        "State": state | changes.pop("state", {}),
        "HostConfig": {"Memory": 512 * 2**20, "RestartPolicy": {"Name": changes.pop("policy", "unless-stopped")}},
        "Config": {
            "Image": "sha256:abc",
            "StopTimeout": 60,
            "Labels": {},
            "Env": [],
            "Healthcheck": {"Test": ["CMD", "check"]},
            **changes.pop("config", {}),
        },
        "Mounts": changes.pop("mounts", []),
    }


def volume(part: str, path: str, *, writable: bool = True) -> list[dict[str, Any]]:
    return [{"Type": "volume", "Name": f"{PREFIX}-{part}", "Destination": path, "RW": writable}]


def whole_stack() -> dict[str, dict[str, Any]]:
    """A healthy stack with two cores and a replica."""
    core = {"config": {"Labels": {"DHIS2_VERSION": "2.42.3.1", "DHIS2_BUILD_REVISION": "0123456789"}}}
    parts = {
        "replica-1": container("replica-1", mounts=volume("replica-1-data", "/var/lib/postgresql")),
        "primary": container("primary", mounts=volume("primary-data", "/var/lib/postgresql")),
        "core-2": container("core-2", **core, mounts=volume("files", "/opt/dhis2/files")),
        "core-1": container("core-1", **core, mounts=volume("files", "/opt/dhis2/files")),
        "cache": container("cache", config={"Env": ["VALKEY_VERSION=8.1.4"]}),
        "lb": container("lb"),
        "dump": container("dump", policy="no", state={"Status": "exited", "Health": None}),
    }
    return parts


@dataclass
class FakeEngine:
    """The SDK's low-level client, with the containers of the stack dev.

    `answers` has the outputs of commands by part; `done` what was started, stopped and restarted.
    """

    parts: dict[str, dict[str, Any]] = field(default_factory=whole_stack)
    answers: dict[str, str] = field(default_factory=dict)
    logged: dict[str, list[str]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    executed: list[tuple[str, Sequence[str]]] = field(default_factory=list)

    @property
    def api(self) -> "FakeEngine":
        return self

    def ping(self) -> None:
        """Answer."""

    def containers(self, all: bool, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
        assert all, "stopped parts count too"
        if filters != {"label": [f"dhis2-cluster.stack={PREFIX}"]}:
            return []
        return [{"Names": [report["Name"]], "State": report["State"]["Status"]} for report in self.parts.values()]

    def inspect_container(self, name: str) -> dict[str, Any]:
        part = name.removeprefix(f"{PREFIX}-")
        if part not in self.parts:
            raise NotFound("no such container")
        return self.parts[part]

    def inspect_image(self, identifier: str) -> dict[str, Any]:
        return {"RepoTags": ["nginx:1.29"] if identifier == "sha256:abc" else []}

    def stats(self, name: str, *, stream: bool, one_shot: bool) -> dict[str, Any]:
        assert one_shot and not stream, "otherwise Docker Engine measures for a second or two"
        return {"memory_stats": {"usage": 200 * 2**20, "stats": {"inactive_file": 72 * 2**20}}}

    def execute(self, _: "FakeEngine", name: str, command: Sequence[str]) -> tuple[int, str]:
        part = name.removeprefix(f"{PREFIX}-")
        if self.parts[part]["State"]["Status"] != "running":
            raise APIError("conflict", explanation=f"container {name} is not running")
        self.executed.append((part, command))
        words = " ".join(command)
        key = next((f"{part} {kind}" for kind, text in KINDS.items() if text in words), part)
        return (0, self.answers[key]) if key in self.answers else (1, "")

    def read_log(self, _: "FakeEngine", name: str, **options: Any) -> Iterator[bytes]:  # noqa: ANN401 - since, tail, ...
        lines = self.logged.get(name.removeprefix(f"{PREFIX}-"), [])
        text = "".join(f"{line}\n" for line in lines).encode()
        # Docker Engine cuts a long line into several frames.
        yield from (text[start : start + 7] for start in range(0, len(text), 7))

    def logs(self, name: str, tail: int) -> bytes:
        return b"".join(self.read_log(self, name))

    def start(self, name: str) -> None:
        self._do("start", name)
        self.inspect_container(name)["State"] = container("any")["State"]

    def stop(self, name: str, timeout: int) -> None:
        self._do("stop", name, timeout)
        self.inspect_container(name)["State"]["Status"] = "exited"

    def restart(self, name: str, timeout: int) -> None:
        self._do("restart", name, timeout)

    def _do(self, verb: str, name: str, *details: object) -> None:
        self.done.append(" ".join([verb, name.removeprefix(f"{PREFIX}-"), *map(str, details)]))


@dataclass
class CommandLine:
    """The command line on a fake Docker Engine: what it printed last, and the settings of the stack dev."""

    engine: FakeEngine
    capture: pytest.CaptureFixture[str]
    settings: dict[str, object] = field(default_factory=lambda: {"cores": 2})
    outputs: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    out: str = ""
    error: str = ""

    def run(self, *arguments: str) -> int:
        """Run a verb and return its exit code."""
        code = app.main(arguments)
        self.out, self.error = self.capture.readouterr()
        return code

    def find(self, requested: str = "") -> Target:
        settings = parse_settings(self.settings)
        stack = requested or "dev"
        return _Target(stack=stack, folder=Path("/"), environment=self.environment, settings=settings, line=self)


class _Target(Target):
    def __init__(self, *, line: CommandLine, **values: Any) -> None:  # noqa: ANN401 - those of a Target
        super().__init__(**values)
        object.__setattr__(self, "line", line)

    def outputs(self) -> dict[str, Any]:
        line: CommandLine = object.__getattribute__(self, "line")
        return dict(line.outputs)


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """A command line on a healthy stack."""
    engine = FakeEngine()
    line = CommandLine(engine, capsys)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(target, "attempt", lambda *_, **__: _Listed())
    monkeypatch.setattr(containers, "execute", engine.execute)
    monkeypatch.setattr(containers, "read_log", engine.read_log)
    for verb in app.VERBS:
        monkeypatch.setattr(f"cli.verbs.{verb.replace('-', '_')}.find", line.find)
    for module in (deployed, __import__("components.orchestrator.readiness", fromlist=["connect"])):
        monkeypatch.setattr(module, "connect", lambda *_, **__: engine)
    return line


class _Listed:
    returncode = 0
    stdout = '[{"name": "dev"}, {"name": "prod"}]'
    stderr = ""
