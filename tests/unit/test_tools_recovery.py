"""After a killed pulumi only what it left is cleared away: never a living one's lock, never another's container."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from tools import recovery
from tools.recovery import CONTAINER, NETWORK, Lock, Orphan

STACK_LABEL = {"label": "com.docker.compose.project", "value": "dhis2-cluster-dev"}


def resource(kind: str, name: str, **inputs: object) -> dict[str, object]:
    return {"type": kind, "urn": f"urn:pulumi:dev::dhis2-cluster::{kind}::{name}", "inputs": {"name": name, **inputs}}


def creating(each: dict[str, object]) -> dict[str, object]:
    return {"type": "creating", "resource": each}


@pytest.mark.parametrize(
    ("lock", "runs", "stale"),
    [
        (Lock(41, "here", "ada"), False, True),
        (Lock(41, "here", "ada"), True, False),
        (Lock(41, "elsewhere", "ada"), False, False),
    ],
    ids=["holder gone", "holder at work", "on another machine"],
)
def test_a_lock_is_stale_only_when_its_holder_is_gone_for_sure(lock: Lock, runs: bool, stale: bool) -> None:
    assert recovery.is_stale(lock, "here", lambda _: runs) == stale, "two engines on one stack would ruin its state"


def test_a_process_that_is_not_pulumi_holds_no_lock() -> None:
    assert not recovery.runs_pulumi(os.getpid()), "process numbers are used again; this one is a test"
    assert not recovery.runs_pulumi(2**22 + 1), "beyond the largest process number"


def test_locks_are_read_from_the_file_backend_of_that_stack_only(tmp_path: Path) -> None:
    for stack, pid in (("dev", 7), ("other", 8)):
        folder = tmp_path / ".pulumi" / "locks" / "organization" / "dhis2-cluster" / stack
        folder.mkdir(parents=True)
        (folder / "1.json").write_text(json.dumps({"pid": pid, "hostname": socket.gethostname(), "username": "ada"}))
    backend = {"PULUMI_BACKEND_URL": f"file://{tmp_path}"}
    assert [lock.pid for lock in recovery.locks(backend, "dev")] == [7], "another stack's lock is none of ours"
    assert [lock.pid for lock in recovery.locks(backend, "organization/dhis2-cluster/dev")] == [7], "full names too"
    assert recovery.locks({"PULUMI_BACKEND_URL": "s3://b"}, "dev") == [], "other backends answer for their locks"


def test_orphans_are_the_unrecorded_containers_and_networks_containers_first() -> None:
    deployment = {
        "resources": [resource(CONTAINER, "dev-cache")],
        "pending_operations": [
            creating(resource(NETWORK, "dev-edge")),
            creating(resource(CONTAINER, "dev-core-1", labels=[STACK_LABEL])),
            creating(resource(CONTAINER, "dev-cache")),
            creating(resource("docker:index/volume:Volume", "dev-files")),
            {"type": "deleting", "resource": resource(CONTAINER, "dev-core-2")},
        ],
    }
    labels = frozenset({("com.docker.compose.project", "dhis2-cluster-dev")})
    assert recovery.orphans(deployment) == [
        Orphan(CONTAINER, "dev-core-1", labels),
        Orphan(NETWORK, "dev-edge", frozenset()),
    ], "recorded ones belong to the state, volumes are adopted, deletes are finished by the engine"


def test_a_state_without_anything_pending_has_no_orphans() -> None:
    assert recovery.orphans({}) == [], "an empty stack"
    assert recovery.orphans({"resources": None, "pending_operations": None}) == [], "as an export writes it"
