"""What is done after a killed pulumi, in order: whose lock and whose objects are removed, and what of the state is
written.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from subprocess import CompletedProcess
from types import SimpleNamespace

import docker
import pytest
from docker.errors import APIError, NotFound

from tools import recovery
from tools.recovery import Lock
from tools.terminal import ToolError
from tools.unrecorded import NEVER, remove_unrecorded

PREFIX = "dhis2-cluster-dev"
STARTED = "2026-01-02T03:04:05Z"
EMPTY, USED = {"RefCount": 0, "Size": 0}, {"RefCount": 0, "Size": 4096}


@dataclass
class Thing:
    """A container, network or volume of Docker Engine; `networks` are the ids of those a container is on."""

    name: str
    started: str = STARTED
    networks: Sequence[str] = ()
    error: Exception | None = None
    usage: Mapping[str, int] = field(default_factory=lambda: EMPTY)
    options: dict[str, bool] | None = None

    @property
    def id(self) -> str:
        return self.name

    @property
    def attrs(self) -> dict[str, object]:
        networks = {network: {"NetworkID": network} for network in self.networks}
        return {"State": {"StartedAt": self.started}, "NetworkSettings": {"Networks": networks}}

    def remove(self, **options: bool) -> None:
        if self.error:
            raise self.error
        self.options = options


class Engine:
    """A Docker Engine on which these objects have the stack's label."""

    def __init__(
        self, containers: Sequence[Thing] = (), networks: Sequence[Thing] = (), volumes: Sequence[Thing] = ()
    ) -> None:
        self.things = {"containers": containers, "networks": networks, "volumes": volumes}

    @property
    def client(self) -> docker.DockerClient:
        kinds = {kind: SimpleNamespace(list=self._lister(things)) for kind, things in self.things.items()}
        volumes = [{"Name": volume.name, "UsageData": volume.usage} for volume in self.things["volumes"]]
        return SimpleNamespace(**kinds, df=lambda: {"Volumes": volumes})  # type: ignore[return-value]

    def _lister(self, things: Sequence[Thing]) -> object:
        def listed(*, filters: Mapping[str, str], **_: bool) -> list[Thing]:
            if "network" in filters:
                return [thing for thing in things if filters["network"] in thing.networks and thing.options is None]
            assert filters == {"label": f"dhis2-cluster.stack={PREFIX}"}, "other stacks are not touched"
            return list(things)

        return listed


@pytest.mark.parametrize(
    ("container", "removed"),
    [
        (Thing("killed", networks=["own-app", "own-data"]), True),
        (Thing("killed-before-it-started", NEVER, ["bridge"]), True),
        (Thing("of-another-backend", networks=["other-app"]), False),
        (Thing("half-of-another-backend", networks=["own-app", "other-data"]), False),
        (Thing("without-network"), False),
        (Thing("recorded", networks=["own-app"]), False),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_only_an_unrecorded_container_of_this_state_is_removed(container: Thing, removed: bool) -> None:
    engine = Engine([container])
    names = remove_unrecorded(engine.client, PREFIX, {"own-app", "own-data", "recorded"})
    assert names == [container.name] * removed, "a foreign container is left to `up` to report"
    assert container.options == ({"force": True, "v": True} if removed else None), "anonymous volumes would stay"


def test_an_unrecorded_network_is_removed_unless_a_container_is_on_it() -> None:
    networks = [Thing("killed"), Thing("of-another-backend"), Thing("recorded")]
    other = Thing("other", networks=["of-another-backend"])
    assert remove_unrecorded(Engine([other], networks).client, PREFIX, {"recorded"}) == ["killed"]


def test_a_container_is_removed_before_its_network() -> None:
    engine = Engine([Thing("container", NEVER, ["network"])], [Thing("network")])
    assert remove_unrecorded(engine.client, PREFIX, set()) == ["container", "network"], "Docker refuses it otherwise"


def test_an_unrecorded_volume_is_removed_only_when_it_is_empty_and_unused() -> None:
    volumes = [
        Thing("empty"),
        Thing("with-data", usage=USED),
        Thing("in-use", usage={"RefCount": 1, "Size": 0}),
        Thing("not-measured", usage={"RefCount": 0, "Size": -1}),
        Thing("recorded"),
    ]
    assert remove_unrecorded(Engine(volumes=volumes).client, PREFIX, {"recorded"}) == ["empty"], "keepData keeps data"


def test_what_was_removed_meanwhile_is_no_error() -> None:
    assert remove_unrecorded(Engine(networks=[Thing("late", error=NotFound("x"))]).client, PREFIX, set()) == []


def test_what_cannot_be_removed_is_named() -> None:
    stuck = Thing("dev-edge", error=APIError("network has active endpoints"))
    with pytest.raises(ToolError, match="dev-edge, created by a killed run, cannot be removed: network has active"):
        remove_unrecorded(Engine(networks=[stuck]).client, PREFIX, set())


@dataclass
class Stack:
    """A stack: who holds its lock, its state as pulumi exports it, and the pulumi commands that were run."""

    locks: list[Lock]
    pending: list[dict[str, object]]
    readable: bool = True
    ran: list[tuple[str, str]] = field(default_factory=list)

    def capture(self, command: Sequence[str], environment: Mapping[str, str], stdin: str = "") -> str:
        self.ran.append((" ".join(command), stdin))
        return ""

    def export(self, command: Sequence[str], environment: Mapping[str, str]) -> CompletedProcess[str]:
        state = json.dumps(
            {"version": 3, "deployment": {"resources": [{"id": "a-lb"}], "pending_operations": self.pending}}
        )
        return CompletedProcess(command, 0 if self.readable else 255, state, "incorrect passphrase\n")

    def recover(self, monkeypatch: pytest.MonkeyPatch, *, alive: bool = False, backend: str = "file:///s") -> list[str]:
        """Return the names of the objects that `recover` removes; one container and one network are not recorded."""
        engine = Engine([Thing("a-core-1", NEVER), Thing("a-lb")], [Thing("a-edge")])
        addresses: list[str] = []

        def connect(docker_host: str) -> docker.DockerClient:
            addresses.append(docker_host)
            return engine.client

        monkeypatch.setattr(recovery, "connect", connect)
        monkeypatch.setattr(recovery, "locks", lambda *_: self.locks)
        monkeypatch.setattr(recovery, "runs_pulumi", lambda _: alive)
        monkeypatch.setattr(recovery, "capture", self.capture)
        monkeypatch.setattr(recovery, "attempt", self.export)
        recovery.recover({"PULUMI_BACKEND_URL": backend}, "organization/dhis2-cluster/dev", "ssh://me@there")
        assert set(addresses) <= {"ssh://me@there"}, "the Docker Engine of the stack"
        return [thing.name for things in engine.things.values() for thing in things if thing.options is not None]


HERE = socket.gethostname()
BEGUN: dict[str, object] = {"type": "creating", "resource": {"inputs": {"name": "a-core-1"}}}
ENDING: dict[str, object] = {"type": "deleting", "resource": {"inputs": {"name": "a-lb"}}}


@pytest.mark.parametrize(
    ("lock", "alive"), [(Lock(41, HERE, "ada"), True), (Lock(41, "elsewhere", "ada"), False)], ids=["here", "elsewhere"]
)
def test_a_locked_stack_is_left_alone(monkeypatch: pytest.MonkeyPatch, lock: Lock, alive: bool) -> None:
    stack = Stack([Lock(40, HERE, "ada"), lock] if not alive else [lock], [BEGUN])
    with pytest.raises(ToolError, match=rf"locked by ada@{lock.host} \(pulumi, pid 41\)"):
        stack.recover(monkeypatch, alive=alive)
    assert stack.ran == [], "one of two running updates would lose its changes"


@pytest.mark.parametrize("backend", ["s3://bucket", "https://api.example.org"])
def test_where_no_lock_can_be_seen_nothing_is_removed_without_pending_creates(
    monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    stack = Stack([], [ENDING])
    assert stack.recover(monkeypatch, backend=backend) == [], "another pulumi may create it at this moment"
    assert stack.ran == [], "neither a lock nor a create is pending"


def test_what_a_killed_provider_has_created_is_removed_without_pending_creates(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = Stack([], [ENDING])
    assert stack.recover(monkeypatch) == ["a-core-1", "a-edge"], "the Pulumi engine takes the create for a failed one"
    assert stack.ran == [], "the state has no trace of it"
    assert "a-core-1, a-edge" in capsys.readouterr().out


def test_after_a_killed_run_lock_objects_and_entries_are_removed_in_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = Stack([Lock(41, HERE, "ada")], [BEGUN, ENDING])
    assert stack.recover(monkeypatch) == ["a-core-1", "a-edge"]
    assert [command.split(" --stack")[0] for command, _ in stack.ran] == ["pulumi cancel --yes", "pulumi stack import"]
    written = json.loads(stack.ran[1][1])["deployment"]
    assert written["pending_operations"] == [ENDING], "the next run finishes deletes"
    assert written["resources"] == [{"id": "a-lb"}], "the rest of the state stays"
    output = capsys.readouterr().out
    assert "pid 41" in output and "a-core-1" in output, "the user reads what was changed"


def test_an_unreadable_state_is_reported_with_pulumis_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack([], [BEGUN], readable=False)
    with pytest.raises(
        ToolError, match="the state of stack organization/dhis2-cluster/dev cannot be read: incorrect passphrase"
    ):
        stack.recover(monkeypatch)
    assert stack.ran == [], "and is not written"
