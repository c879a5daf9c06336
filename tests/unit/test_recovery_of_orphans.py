"""What is done after a killed pulumi, in order: whose lock and whose objects go, and what of the state is written."""

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
from tools.recovery import CONTAINER, NETWORK, Lock, Orphan
from tools.terminal import ToolError

PROJECT = "com.docker.compose.project"
OURS = frozenset({(PROJECT, "stack-a")})


@dataclass
class Thing:
    """A container or a network of an engine."""

    name: str
    labels: dict[str, str]
    stuck: bool = False
    gone: bool = False
    with_volumes: bool = False

    @property
    def attrs(self) -> dict[str, object]:
        return {"Labels": self.labels or None}

    def remove(self, force: bool = False, v: bool = False) -> None:
        if self.stuck:
            raise APIError("network has active endpoints")
        self.gone, self.with_volumes = True, v


@dataclass
class Engine:
    """An engine with these things of one kind; it lists networks by a part of their name, as Docker does."""

    kind: str
    things: list[Thing]
    addresses: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def containers(self) -> SimpleNamespace:
        return SimpleNamespace(get=self._get)

    @property
    def networks(self) -> SimpleNamespace:
        return SimpleNamespace(list=lambda names: [each for each in self._of(NETWORK) if names[0] in each.name])

    def _get(self, name: str) -> Thing:
        for each in self._of(CONTAINER):
            if each.name == name:
                return each
        raise NotFound(name)

    def _of(self, kind: str) -> list[Thing]:
        return self.things if kind == self.kind else []

    def connect(self, base_url: str, use_ssh_client: bool) -> Engine:
        self.addresses.append((base_url, use_ssh_client))
        return self


@pytest.mark.parametrize(
    ("kind", "thing", "removed"),
    [
        (CONTAINER, Thing("a-core-1", {PROJECT: "stack-a", "more": "x"}), True),
        (CONTAINER, Thing("a-core-1", {PROJECT: "stack-b"}), False),
        (CONTAINER, Thing("a-core-1", {}), False),
        (CONTAINER, Thing("a-core-10", {PROJECT: "stack-a"}), False),
        (NETWORK, Thing("a-edge", {PROJECT: "stack-a"}), True),
        (NETWORK, Thing("a-edge", {PROJECT: "stack-b"}), False),
        (NETWORK, Thing("a-edge", {}), False),
        (NETWORK, Thing("a-edge-2", {PROJECT: "stack-a"}), False),
        (NETWORK, Thing("not-a-edge", {PROJECT: "stack-a"}), False),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_only_what_has_our_name_and_our_labels_is_removed(
    monkeypatch: pytest.MonkeyPatch, kind: str, thing: Thing, removed: bool
) -> None:
    monkeypatch.setattr(docker, "DockerClient", Engine(kind, [thing]).connect)
    orphan = Orphan(kind, "a-core-1" if kind == CONTAINER else "a-edge", OURS)
    assert recovery.remove(orphan, "unix:///x") == removed, "a foreign object is left to `up` to report"
    assert thing.gone == removed
    assert thing.with_volumes == (removed and kind == CONTAINER), "anonymous volumes would stay for ever"


def test_of_networks_with_one_name_only_the_stacks_own_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = Thing("a-edge", {PROJECT: "stack-b"}), Thing("a-edge", {PROJECT: "stack-a"})
    monkeypatch.setattr(docker, "DockerClient", Engine(NETWORK, [theirs, ours]).connect)
    assert recovery.remove(Orphan(NETWORK, "a-edge", OURS), "unix:///x")
    assert (theirs.gone, ours.gone) == (False, True), "Docker takes a network's name twice"


@pytest.mark.parametrize(("address", "ssh"), [("unix:///x", False), ("ssh://me@there", True)])
def test_an_orphan_that_cannot_be_removed_is_named(monkeypatch: pytest.MonkeyPatch, address: str, ssh: bool) -> None:
    engine = Engine(NETWORK, [Thing("a-edge", {PROJECT: "stack-a"}, stuck=True)])
    monkeypatch.setattr(docker, "DockerClient", engine.connect)
    with pytest.raises(ToolError, match="a-edge, created by a killed run, cannot be removed: network has active"):
        recovery.remove(Orphan(NETWORK, "a-edge", OURS), address)
    assert engine.addresses == [(address, ssh)], "the Docker Engine of the stack, by the user's own ssh"


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
        state = json.dumps({"version": 3, "deployment": {"resources": [], "pending_operations": self.pending}})
        return CompletedProcess(command, 0 if self.readable else 255, state, "incorrect passphrase\n")

    def recover(self, monkeypatch: pytest.MonkeyPatch, *, alive: bool = False) -> list[str]:
        """Return the names of the orphans that `recover` removes."""
        removed: list[str] = []

        def remove(orphan: Orphan, docker_host: str) -> bool:
            removed.append(orphan.name)
            return True

        monkeypatch.setattr(recovery, "locks", lambda *_: self.locks)
        monkeypatch.setattr(recovery, "runs_pulumi", lambda _: alive)
        monkeypatch.setattr(recovery, "capture", self.capture)
        monkeypatch.setattr(recovery, "attempt", self.export)
        monkeypatch.setattr(recovery, "remove", remove)
        recovery.recover({}, "dev", "unix:///x")
        return removed


HERE = socket.gethostname()
BEGUN: dict[str, object] = {"type": "creating", "resource": {"type": CONTAINER, "inputs": {"name": "a-core-1"}}}
ENDING: dict[str, object] = {"type": "deleting", "resource": {"type": CONTAINER, "inputs": {"name": "a-lb"}}}


@pytest.mark.parametrize(
    ("lock", "alive"), [(Lock(41, HERE, "ada"), True), (Lock(41, "elsewhere", "ada"), False)], ids=["here", "elsewhere"]
)
def test_a_locked_stack_is_left_alone(monkeypatch: pytest.MonkeyPatch, lock: Lock, alive: bool) -> None:
    stack = Stack([Lock(40, HERE, "ada"), lock] if not alive else [lock], [BEGUN])
    with pytest.raises(ToolError, match=rf"locked by ada@{lock.host} \(pulumi, pid 41\)"):
        stack.recover(monkeypatch, alive=alive)
    assert stack.ran == [], "one of two running updates would lose its changes"


def test_a_stack_without_pending_creates_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack([], [ENDING])
    assert stack.recover(monkeypatch) == []
    assert stack.ran == [], "neither a lock nor a create is pending"


def test_after_a_killed_run_lock_orphans_and_entries_are_removed_in_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = Stack([Lock(41, HERE, "ada")], [BEGUN, ENDING])
    assert stack.recover(monkeypatch) == ["a-core-1"]
    assert [command for command, _ in stack.ran] == [
        "pulumi cancel --yes --stack dev",
        "pulumi stack import --stack dev",
    ]
    written = json.loads(stack.ran[1][1])
    assert written == {"version": 3, "deployment": {"resources": [], "pending_operations": [ENDING]}}, (
        "the rest of the state stays; the next run finishes deletes"
    )
    output = capsys.readouterr().out
    assert "pid 41" in output and "a-core-1" in output, "the user reads what was changed"


def test_an_unreadable_state_is_reported_with_pulumis_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack([], [BEGUN], readable=False)
    with pytest.raises(ToolError, match="the state of stack dev cannot be read: incorrect passphrase"):
        stack.recover(monkeypatch)
    assert stack.ran == [], "and is not written"
