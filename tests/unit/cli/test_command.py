"""The command `dhis2-cluster` of the virtual environment: made without an installation, run from any folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.app import VERBS
from tests.support.project import ROOT
from tools import venv


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command as `make up` makes it, in a folder whose name needs quotes."""
    folder = tmp_path / "my checkout's"
    folder.mkdir()
    monkeypatch.setattr(venv, "COMMAND", folder / "dhis2-cluster")
    monkeypatch.setattr(venv, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(venv, "ROOT", folder / "root")
    (folder / "root").symlink_to(ROOT)
    venv._write_command()
    return folder / "dhis2-cluster"


def run(command: Path, *arguments: str, folder: Path = Path("/"), variables: dict[str, str] | None = None) -> str:
    known = {"PATH": os.defpath, "COLUMNS": "100"} | (variables or {})
    done = subprocess.run([command, *arguments], cwd=folder, env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_runs_from_any_folder_and_lists_all_verbs(command: Path) -> None:
    listed = run(command, "--help")
    assert all(f" {verb} " in listed for verb in VERBS)


def test_nothing_is_imported_from_the_current_folder(command: Path) -> None:
    (command.parent / "docker.py").write_text("raise SystemExit('another docker')")
    assert "Usage: dhis2-cluster" in run(command, "--help", folder=command.parent)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_its_verbs(command: Path, shell: str) -> None:
    words = {"COMP_WORDS": "dhis2-cluster sta", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "dhis2-cluster sta"}
    action = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    completed = run(command, variables={"_DHIS2_CLUSTER_COMPLETE": f"complete_{shell}"} | words | action)
    assert "status" in completed and "start" in completed
    assert "logs" not in completed


def test_it_is_made_again_only_when_it_changes(command: Path) -> None:
    before = command.stat().st_mtime_ns
    venv._write_command()
    assert command.stat().st_mtime_ns == before
    command.write_text("#!/bin/sh\n")
    venv._write_command()
    assert "cli.app" in command.read_text()
