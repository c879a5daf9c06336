"""What a shell completes behind a verb of `dhis2-cluster`: stacks and their parts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import DockerException

from cli.options import complete_part, complete_stack
from tests.support.project import PROJECT
from tests.unit.cli.engine import CommandLine

DEV: Any = SimpleNamespace(params={"stack": None})  # of typer's context, this is read


def test_stacks_are_completed_from_their_stack_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Pulumi.yaml").write_text(f"name: {PROJECT}")
    for stack in ("dev", "demo", "prod"):
        (tmp_path / f"Pulumi.{stack}.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    assert sorted(complete_stack("de")) == ["demo", "dev"]


def test_parts_and_groups_of_parts_are_completed(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.options.find", command_line.find)
    assert sorted(complete_part(DEV, "core")) == ["core", "core-1", "core-2"]
    assert complete_part(DEV, "pri") == ["primary"]


def test_nothing_is_completed_without_docker_engine(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise DockerException("no answer")

    monkeypatch.setattr("cli.options.find", command_line.find)
    monkeypatch.setattr("cli.containers.StackContainers.parts", fail)
    assert complete_part(DEV, "") == []
