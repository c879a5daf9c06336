"""Which stack a verb works on, and what is reported when there is none."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cli import app, deployed, options, target
from cli.containers import StackContainers
from cli.errors import CommandError
from cli.parts import Part
from cli.services import StackServices
from cli.stacks import open_stack
from cli.target import find, project_folder, stack_names
from tools import environment
from tools.paths import ROOT

ENGINE = "unix:///nowhere/docker.sock"


class FakePulumi:
    """Pulumi's answers by the first words of its command, and the folders in which it was started."""

    def __init__(self) -> None:
        self.answers: dict[str, str | None] = {
            "stack --show-name": "dev\n",
            "stack ls": json.dumps([{"name": "dev"}, {"name": "prod"}]),
        }
        self.folders: list[Path] = []

    def attempt(self, command: list[str], env: dict[str, str], folder: Path) -> Any:  # noqa: ANN401 - a process
        self.folders.append(folder)
        answer = self.answers.get(" ".join(command[1:3]))
        error = "warning: one\nerror: no stack selected\n"
        return subprocess.CompletedProcess(command, 0 if answer else 255, answer or "", "" if answer else error)


@pytest.fixture
def pulumi(monkeypatch: pytest.MonkeyPatch) -> FakePulumi:
    """Pulumi with the stacks dev, which is selected, and prod."""
    fake = FakePulumi()
    monkeypatch.setattr(target, "attempt", fake.attempt)
    monkeypatch.setattr(environment, "complete", lambda variables, _: dict(variables))
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return fake


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Pulumi project with a stack file, as the current folder."""
    (tmp_path / "Pulumi.yaml").write_text("name: dhis2-cluster\n")
    (tmp_path / "Pulumi.prod.yaml").write_text(
        f"config:\n  dhis2-cluster:dockerHost: {ENGINE}\n  dhis2-cluster:cores: 3\n"
        "  dhis2-cluster:adminPassword:\n    secure: v1:abc\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("pulumi")
def test_a_stack_on_a_swarm_is_opened_as_services(project: Path) -> None:
    nodes = "dhis2-cluster:primaryNode: db-1\n  dhis2-cluster:replicaNodes: [db-2]\n  dhis2-cluster:bind: 0.0.0.0"
    (project / "Pulumi.prod.yaml").write_text(f"config:\n  dhis2-cluster:orchestrator: swarm\n  {nodes}\n")
    assert isinstance(open_stack(find("prod")), StackServices)
    assert isinstance(open_stack(find("dev")), StackContainers)


@pytest.mark.usefixtures("project")
def test_a_named_stack_comes_before_that_of_the_environment_and_the_selected_one(
    pulumi: FakePulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find().stack == "dev"
    monkeypatch.setenv("PULUMI_STACK", "test")
    assert find().stack == "test"
    assert find("prod").stack == "prod"
    assert len(pulumi.folders) == 1, "pulumi is asked only where nothing names the stack"


@pytest.mark.usefixtures("pulumi", "project")
def test_settings_and_docker_engine_are_those_of_the_stack_file() -> None:
    prod = find("prod")
    assert (prod.settings.cores, prod.docker_host, prod.prefix) == (3, ENGINE, "dhis2-cluster-prod")
    assert find("owner/dhis2-cluster/prod").prefix == "dhis2-cluster-prod", "a cloud stack has its owner's name"


@pytest.mark.usefixtures("pulumi", "project")
def test_without_a_dockerhost_it_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find("dev").docker_host is None
    monkeypatch.setenv("DOCKER_HOST", "tcp://docker.example.org:2375")
    assert find("dev").docker_host == "tcp://docker.example.org:2375"
    assert find("prod").docker_host == ENGINE


def test_the_project_is_that_of_the_current_folder_as_for_pulumi(project: Path, pulumi: FakePulumi) -> None:
    below = project / "components"
    below.mkdir()
    assert project_folder(below) == project
    find()
    assert pulumi.folders == [project]


def test_elsewhere_it_is_the_checkout(tmp_path: Path) -> None:
    assert project_folder(tmp_path) == ROOT
    (tmp_path / "Pulumi.yaml").write_text("name: another\n")
    assert project_folder(tmp_path) == ROOT, "another project has no stack of this one"


@pytest.mark.usefixtures("project")
def test_where_no_stack_is_selected_the_way_to_select_one_is_reported(pulumi: FakePulumi) -> None:
    pulumi.answers["stack --show-name"] = None
    with pytest.raises(CommandError, match=r"no stack is selected \(error: no stack selected\).*pulumi stack select"):
        find()


@pytest.mark.usefixtures("pulumi")
def test_invalid_settings_are_reported_with_their_fix(project: Path) -> None:
    (project / "Pulumi.prod.yaml").write_text("config:\n  dhis2-cluster:cores: many\n")
    with pytest.raises(CommandError, match="pulumi config set cores"):
        find("prod")


@pytest.mark.usefixtures("project")
def test_without_pulumi_the_way_to_get_it_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment, "complete", lambda *_: {"PATH": str(tmp_path)})
    with pytest.raises(CommandError, match=r"pulumi cannot be started.*make up"):
        find()


class NoContainers:
    """A Docker Engine without containers of this project."""

    def __init__(self) -> None:
        self.api = self

    def ping(self) -> None:
        """Answer."""

    def containers(self, **_: object) -> list[object]:
        return []


@pytest.mark.usefixtures("pulumi", "project")
@pytest.mark.parametrize(
    ("stack", "text"),
    [
        ("production", "there is no stack production. Stacks: dev, prod. Name one: -s dev"),
        ("dev", "stack dev has no containers on Docker Engine at unix:///var/run/docker.sock. Deploy it: make up"),
    ],
)
def test_a_stack_that_is_not_there_is_no_stack_or_not_deployed(
    stack: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(deployed, "connect", lambda _: NoContainers())
    assert app.main(["status", "-s", stack]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.usefixtures("pulumi", "project")
def test_a_docker_engine_that_does_not_answer_is_named_with_the_fix(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["status", "-s", "prod"]) == 2
    error = capsys.readouterr().err
    assert f"error: Docker Engine at {ENGINE} does not answer" in error
    assert "pulumi config set dockerHost" in error
    assert len(error.splitlines()) == 1, "no traceback"


@pytest.mark.usefixtures("project")
def test_outputs_that_cannot_be_read_are_reported_with_pulumi_s_reason(pulumi: FakePulumi) -> None:
    pulumi.answers["stack output"] = '{"adminPassword": "secret"}'
    assert find("prod").outputs() == {"adminPassword": "secret"}
    pulumi.answers["stack output"] = None
    with pytest.raises(CommandError, match="the outputs of stack prod cannot be read: error: no stack selected"):
        find("prod").outputs()


@pytest.mark.usefixtures("pulumi")
def test_a_shell_completes_stacks_and_parts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "Pulumi.test.yaml").write_text("config: {}\n")
    assert stack_names(project) == ["prod", "test"]
    assert options.complete_stack("p") == ["prod"]
    parts = [Part(name, f"dhis2-cluster-dev-{name}", "running") for name in ("lb", "core-1", "core-2")]
    monkeypatch.setattr(StackContainers, "parts", lambda _: parts)
    context: Any = type("Context", (), {"params": {"stack": "prod"}})
    assert options.complete_part(context, "co") == ["core-1", "core-2", "core"]


@pytest.mark.usefixtures("pulumi", "project")
def test_a_shell_completes_no_part_where_docker_engine_does_not_answer() -> None:
    context: Any = type("Context", (), {"params": {"stack": "prod"}})
    assert options.complete_part(context, "") == []


def test_an_unknown_option_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["status", "--no-such-option"]) == 2
    assert "--no-such-option" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_a_secret_setting_is_read_with_pulumi(pulumi: FakePulumi) -> None:
    pulumi.answers["config get"] = " with a space \n"
    assert find("dev").secret("fileStoreSecretKey") == " with a space "
    pulumi.answers["config get"] = None
    with pytest.raises(CommandError, match="pulumi config set --secret fileStoreSecretKey -s dev"):
        find("dev").secret("fileStoreSecretKey")
