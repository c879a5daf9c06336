"""`dhis2-cluster move-files`: what is copied where, in which order, and what happens when it fails."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from docker.errors import APIError

from cli import containers
from cli.errors import FAILED, NOT_RUN
from cli.moving import CONFIGURATION
from cli.target import Target
from components.orchestrator.short_lived import ShortLived
from components.templates.escaping import property_value
from tests.unit.cli.engine import PREFIX, CommandLine

S3 = {
    "fileStore": "s3://dhis2-files?endpoint=https://s3.example.org&region=eu-1",
    "fileStoreAccessKey": "key",
    "fileStoreSecretKey": "new-secret",
}
ON_VOLUME = "filestore.provider = filesystem\n"
SECRET = "a\\s${x}"  # noqa: S105
ON_S3 = (
    "filestore.provider = aws-s3\nfilestore.container = old-files\nfilestore.location = us-standard\n"
    f"filestore.identity = old-key\nfilestore.secret = {property_value(SECRET)}\n"
)


@dataclass
class Engine:
    """What happened; `failing` is a verb of rclone and the number of the run that fails."""

    line: CommandLine
    conf: str = ON_VOLUME
    failing: tuple[str, int] = ("", 0)
    up: str = ""
    runs: list[ShortLived] = field(default_factory=list)
    volumes: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def done(self) -> list[str]:
        return self.line.engine.done

    def run(self, _: Any, spec: ShortLived) -> tuple[int, str]:  # noqa: ANN401 - a client
        self.runs.append(spec)
        verb = spec.command[1]
        self.done.append(f"rclone {verb}")
        failed = self.failing == (verb, sum(run.command[1] == verb for run in self.runs))
        return (1, "2026/05/01 ERROR : a: not stored\n1 difference") if failed else (0, "0 differences found")

    def move(self, *options: str, **settings: str) -> int:
        """Run the verb with these settings."""
        self.line.settings = {"cores": 2, **settings}
        return self.line.run("move-files", "--yes", *options)


@pytest.fixture
def engine(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Return a stack whose cores have their files in the volume."""
    engine = Engine(command_line)

    def up(_: Target) -> str:
        engine.done.append("up")
        return engine.up

    async def ready(*_: object) -> None:
        """Everything is."""

    monkeypatch.setattr(containers, "run_short_lived", engine.run)
    monkeypatch.setattr(containers, "pull_missing", lambda *_: engine.done.append("pull"))
    monkeypatch.setattr(Target, "secret", lambda _, key: str(S3[key]))
    monkeypatch.setattr(Target, "up", up)
    monkeypatch.setattr("cli.containers.StackContainers.read_file", lambda *_: engine.conf)
    monkeypatch.setattr(
        "cli.containers.StackContainers.create_volume",
        lambda _, name, options, __: engine.volumes.append((name, dict(options))),
    )
    monkeypatch.setattr("components.orchestrator.readiness.Watcher.until_ready", ready)
    return engine


def test_files_are_copied_and_checked_before_the_cores_stop_and_after(engine: Engine) -> None:
    assert engine.move("--json", **S3) == 0, engine.line.error
    steps = [
        "pull",
        "rclone copy",
        "rclone check",
        "stop core-1 60",
        "stop core-2 60",
        "rclone copy",
        "rclone check",
        "up",
    ]
    assert sorted(engine.done[3:5]) == steps[3:5] and engine.done[5:] == steps[5:] and engine.done[:3] == steps[:3]
    assert json.loads(engine.line.out) == {
        "stack": "dev",
        "from": f"the volume {PREFIX}-files",
        "to": "s3://dhis2-files of https://s3.example.org",
    }


def test_the_keys_are_in_a_file_and_nowhere_else(engine: Engine) -> None:
    engine.move(**S3)
    for run in engine.runs:
        assert run.command[:4] == ("rclone", run.command[1], "/source", "destination:dhis2-files")
        assert run.mounts == {"/source": f"{PREFIX}-files"} and run.network == f"{PREFIX}-app"
        configuration = run.secrets[CONFIGURATION]
        assert "secret_access_key = new-secret\nendpoint = https://s3.example.org\nregion = eu-1\n" in configuration
        assert "new-secret" not in f"{run.command}{run.environment}"
    assert "new-secret" not in engine.line.out + engine.line.error


def test_files_come_back_from_the_bucket_with_the_keys_the_cores_have(engine: Engine) -> None:
    engine.conf = ON_S3
    assert engine.move() == 0, engine.line.error
    first = engine.runs[0]
    assert first.command[2:4] == ("source:old-files", "/var/tmp")  # noqa: S108
    assert first.mounts == {"/var/tmp": f"{PREFIX}-files"} and not first.no_copy  # noqa: S108
    assert (
        f"provider = AWS\naccess_key_id = old-key\nsecret_access_key = {SECRET}\nregion = us-east-1\n"
        in (first.secrets[CONFIGURATION])
    )


def test_the_volume_of_an_export_is_made_and_nothing_is_copied_into_it_as_root(engine: Engine) -> None:
    assert engine.move(fileStore="nfs://nfs.example.org/srv/dhis2") == 0, engine.line.error
    ((name, options),) = engine.volumes
    assert name.startswith(f"{PREFIX}-files-nfs-") and options["device"] == ":/srv/dhis2"
    assert engine.runs[0].no_copy and engine.runs[0].mounts["/var/tmp"] == name  # noqa: S108


def test_files_that_are_there_are_not_moved(engine: Engine) -> None:
    assert engine.move(fileStore="volume") == NOT_RUN
    assert "pulumi config set fileStore" in engine.line.error
    engine.conf = ON_S3
    same = {"fileStore": "s3://old-files", "fileStoreAccessKey": "another", "fileStoreSecretKey": "another"}
    assert engine.move(**same) == NOT_RUN, "another key is no other bucket"
    assert engine.done == []


def test_an_image_that_cannot_be_pulled_is_named_with_its_setting(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise APIError("no route to the registry")

    monkeypatch.setattr(containers, "pull_missing", refuse)
    assert engine.move(**S3, copyImage="example.org/rclone:1") == NOT_RUN
    assert "example.org/rclone:1 is not on the Docker host, and cannot be pulled: no route" in engine.line.error
    assert "pulumi config set copyImage" in engine.line.error and engine.done == []


@pytest.mark.parametrize("verb", ["copy", "check"])
def test_a_copy_that_fails_stops_no_core(engine: Engine, verb: str) -> None:
    engine.failing = (verb, 1)
    assert engine.move(**S3) == FAILED
    assert f"the files could not be moved, rclone {verb} failed: 2026/05/01 ERROR : a: not stored" in engine.line.error
    assert not any(step.startswith(("stop", "up")) for step in engine.done)


@pytest.mark.parametrize("verb", ["copy", "check"])
def test_cores_start_with_their_files_where_the_second_copy_fails(engine: Engine, verb: str) -> None:
    engine.failing = (verb, 2)
    assert engine.move(**S3) == FAILED
    assert engine.done[-2:] == ["start core-1", "start core-2"] and "up" not in engine.done


def test_a_failed_up_is_to_be_repeated(engine: Engine) -> None:
    engine.up = "pulumi up exited with 1"
    assert engine.move(**S3) == FAILED
    assert "but no core runs: pulumi up exited with 1. Fix it, then: pulumi up -s dev" in engine.line.error
    assert not any(step.startswith("start") for step in engine.done), "a core would write to the old place"


def test_a_core_that_does_not_tell_where_its_files_are_is_named(engine: Engine) -> None:
    engine.conf = ""
    assert engine.move(**S3) == NOT_RUN
    assert "core-1 does not tell where it has its files" in engine.line.error
