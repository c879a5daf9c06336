"""`dhis2-cluster backup`, `backups` and `restore`: what is chosen, what is touched, in which order."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from cli.errors import FAILED, NOT_RUN
from cli.target import Target
from tests.unit.cli.engine import CommandLine, container

MARKER = "dump_key=none\nrestored_set=bbbbbbbb\n"
SET = {"time": "2026-05-01T02:00:00.123456789Z", "hostname": "dhis2-cluster-dev"}
TAGS = [
    "dhis2-cluster",
    "version=2.43.1",
    "image=dhis2/core:2.43.1",
    "postgresql=17.5",
    "fingerprint=f",
    "encryption-password",
]
SETS = [
    SET | {"id": "b" * 64, "time": "2026-05-02T02:00:00Z", "tags": TAGS},
    SET | {"id": "a" * 64, "tags": [*TAGS[:-1], "all"]},
    SET | {"id": "c" * 64, "time": "2026-05-03T02:00:00Z", "hostname": "dhis2-cluster-prod", "tags": TAGS},
]


@pytest.fixture
def line(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A stack with a backup container, and three sets in its repository."""
    engine = command_line.engine
    engine.parts["backup"] = container("backup")
    outputs = {
        "list": json.dumps(SETS),
        "matches": "",
        "restored": MARKER,
        "health.sh": "last backup today",
        "FLUSHALL": "OK",
    }

    def follow(_: Any, part: Any, command: Sequence[str]) -> tuple[int, str]:  # noqa: ANN401 - as the real one
        engine.done.append(" ".join([part.part, *command[1:]]).replace("/opt/dhis2-cluster/", ""))
        return 0, "bbbbbbbb"

    def execute(_: Any, part: Any, command: Sequence[str]) -> tuple[int, str]:  # noqa: ANN401 - as the real one
        words = " ".join(command).replace("/opt/dhis2-cluster/", "")
        engine.done.append(f"{part.part} {words}")
        answer = next((text for word, text in outputs.items() if word in words), "")
        return (1, answer) if answer == "fails" else (0, answer)

    monkeypatch.setattr("cli.containers.StackContainers.execute", execute)
    for module in ("cli.verbs.backup", "cli.restoring"):
        monkeypatch.setattr(f"{module}.follow", follow)
    for verb in ("backup", "backups", "restore"):
        monkeypatch.setattr(f"cli.verbs.{verb}.find", command_line.find)
    engine.answers = outputs
    return command_line


def steps(line: CommandLine) -> list[str]:
    """Return what was done, in short."""
    return [step.removeprefix("bash ") for step in line.engine.done if " list" not in step]


def test_a_backup_prints_its_id(line: CommandLine) -> None:
    assert line.run("backup", "--all", "--json") == 0
    assert json.loads(line.out) == {"set": "bbbbbbbb"}
    assert line.engine.done == ["backup backup.sh create --all"]


def test_without_backups_the_command_that_turns_them_on_is_named(line: CommandLine) -> None:
    del line.engine.parts["backup"]
    for verb in ("backup", "backups", "restore"):
        assert line.run(verb) == NOT_RUN
        assert "pulumi config set backupSchedule" in line.error


def test_backups_are_listed_the_newest_last(line: CommandLine) -> None:
    assert line.run("backups", "--json") == 0
    listed = json.loads(line.out)
    assert [entry["set"][0] for entry in listed] == ["a", "b", "c"]
    assert listed[0]["complete"] and not listed[0]["secret"] and listed[1]["postgresql"] == "17.5"
    assert line.run("backups") == 0 and "without encryption.password" in line.out


def test_cores_stop_before_and_start_one_first_after(line: CommandLine) -> None:
    assert line.run("restore", "--yes") == 0, line.error
    done = [step for step in steps(line) if "matches" not in step]
    order = [
        "backup backup.sh unpack bbbbbbbb all",
        "stop core-1",
        "restore-set.sh request bbbbbbbb",
        "restart primary",
        "restart replica-1",
        "exchange-files",
        "FLUSHALL",
        "start core-1",
        "start core-2",
        "backup.sh discard",
    ]
    places = [next(number for number, step in enumerate(done) if words in step) for words in order]
    assert places == sorted(places), done
    assert places[2] > max(number for number, step in enumerate(done) if step.startswith("stop core")), "all of them"
    assert "backup bbbbbbbb is restored" in line.out


def test_latest_is_the_stack_s_own(line: CommandLine) -> None:
    line.run("restore", "latest", "--yes")
    assert any("unpack bbbbbbbb" in step for step in line.engine.done), "c is newer, and of another stack"
    assert line.run("restore", "cccc", "--yes") == FAILED, "the marker of this test has b"
    assert any("unpack cccccccc" in step for step in line.engine.done)


def test_nothing_changes_without_a_yes(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert line.run("restore") == NOT_RUN and "nothing was changed" in line.error
    assert not [step for step in line.engine.done if step.startswith(("stop", "restart", "backup backup.sh unpack"))]


def test_only_the_database_or_only_the_files(line: CommandLine) -> None:
    assert line.run("restore", "--files-only", "--yes") == 0
    assert not any(step.startswith("restart") for step in line.engine.done) and any(
        "exchange-files" in step for step in line.engine.done
    )
    line.engine.done.clear()
    assert line.run("restore", "--database-only", "--yes") == 0
    assert any(step.startswith("restart primary") for step in line.engine.done) and not any(
        "exchange-files" in step for step in line.engine.done
    )
    assert line.run("restore", "--database-only", "--files-only") == NOT_RUN


def test_a_database_that_cannot_be_restored_leaves_the_files_and_starts_the_cores(line: CommandLine) -> None:
    line.engine.answers["restored"] = "restored_set=\n"
    assert line.run("restore", "--yes") == FAILED
    assert "the one before is kept" in line.error
    assert not any("exchange-files" in step for step in line.engine.done), "files and database belong together"
    assert "start core-2" in line.engine.done, "DHIS2 serves the database before"


def test_another_encryption_password_needs_to_be_in_the_backup(line: CommandLine) -> None:
    line.engine.answers["matches"] = "fails"
    assert line.run("restore", "aaaa", "--yes") == NOT_RUN
    assert "pulumi config set --secret encryptionPassword -s dev" in line.error
    assert "stop core-1" not in line.engine.done


def test_an_unknown_backup_is_named(line: CommandLine) -> None:
    assert line.run("restore", "dddd") == NOT_RUN
    assert "there is no backup dddd" in line.error


def test_status_shows_the_last_backup(line: CommandLine) -> None:
    assert line.run("status") == 0 and "last backup today" in line.out
    line.engine.answers["health.sh"] = "fails"
    assert line.run("status") == FAILED, "somebody has to act"


def test_the_encryption_password_of_the_backup_becomes_the_setting(
    line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.engine.answers |= {"matches": "fails", "cat /var/tmp/unpacked/encryption-password": "of the backup"}
    done = line.engine.done

    def set_secret(_: Target, key: str, value: str) -> str:
        done.append(f"set {key} to {value}")
        return ""

    def up(_: Target) -> str:
        done.append("up")
        return ""

    monkeypatch.setattr(Target, "set_secret", set_secret)
    monkeypatch.setattr(Target, "up", up)
    assert line.run("restore", "--yes") == 0, line.error
    assert "the setting encryptionPassword" in line.error, "it is announced before the question"
    assert any("request bbbbbbbb own" in step for step in done)
    assert done.index("set encryptionPassword to of the backup") < done.index("up")
    assert "start core-1" not in done, "with the password of before it could not read what is encrypted"


def test_a_backup_is_copied_to_another_stack(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[Any] = []

    def transfer(source: Any, destination: Any, names: Sequence[str]) -> str:  # noqa: ANN401 - as the real one
        copied.append((source[0].stack, destination[0].stack, names))
        return ""

    monkeypatch.setattr("cli.restoring.transfer", transfer)
    assert line.run("restore", "--into", "prod", "--yes") == NOT_RUN, "the fake engine has no such stack"
    monkeypatch.setattr(Target, "prefix", property(lambda _: "dhis2-cluster-dev"))
    assert line.run("restore", "--into", "prod", "--database-only", "--yes") == 0, line.error
    assert copied == [("dev", "prod", ("var/tmp/unpacked",))]
