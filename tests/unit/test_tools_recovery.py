"""After a killed pulumi only what it left is cleared away: never a living one's lock, never another's container."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from tools import recovery
from tools.recovery import Lock


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


def test_only_empty_attributes_of_the_state_are_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / ".pulumi" / "stacks" / "dhis2-cluster"
    folder.mkdir(parents=True)
    files = {"dev.json": "", "dev.json.attrs": "", "other.json": "{}", "other.json.attrs": "{}"}
    for name, content in files.items():
        (folder / name).write_text(content)
    recovery.remove_empty_attributes({"PULUMI_BACKEND_URL": f"file://{tmp_path}"})
    assert {path.name for path in folder.iterdir()} == files.keys() - {"dev.json.attrs"}, "pulumi needs no attributes"
    assert "dev.json.attrs" in capsys.readouterr().out, "the user reads what was changed"
    recovery.remove_empty_attributes({"PULUMI_BACKEND_URL": f"file://{tmp_path}"})
    recovery.remove_empty_attributes({"PULUMI_BACKEND_URL": "s3://bucket"})
    assert capsys.readouterr().out == "", "nothing to do, nothing to report"
