"""`dhis2-cluster backup`, `backups` and `restore`: what is chosen, what is touched, in which order."""

import io
import json
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from cli.errors import FAILED, NOT_RUN
from cli.target import Target
from components.orchestrator.watcher import NotReady
from tests.unit.cli.engine import CommandLine, container

MARKER = "dump_key=none\nrestored_at={}\nanalytics=due\nrestored_set={}\n"
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
    engine, moments = command_line.engine, count(1)
    engine.parts["backup"] = container("backup")
    outputs = {
        "list": json.dumps(SETS),
        "matches": "",
        "restored": MARKER.format(next(moments), ""),
        "health.sh": "last backup today, backup bbbbbbbb; last check today",
        "cat last-backup": "at=1777687200\nset=bbbbbbbb\nchecked_at=1777687320\n",
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

    def restart(_: Any, part: Any) -> None:  # noqa: ANN401 - as the real one
        engine.done.append(f"restart {part.part}")
        if part.part == "primary" and outputs["restored"] != "fails":
            requests = [step.split() for step in engine.done if "restore-request.sh" in step]
            wanted = [request[4] for request in requests if request[3] == "backup"]
            outputs["restored"] = MARKER.format(next(moments), wanted[-1] if wanted else "")

    async def finish(_: Any, target: Any, marker: Any, __: Any) -> None:  # noqa: ANN401 - as the real one
        engine.done.append(f"finish {target.stack} {marker['analytics']}")

    monkeypatch.setattr("cli.containers.StackContainers.execute", execute)
    monkeypatch.setattr("cli.containers.StackContainers.restart", restart)
    monkeypatch.setattr("cli.exchange.finish", finish)
    monkeypatch.setattr("cli.docker_command.follow", follow)
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


def test_where_there_is_no_backup_yet_the_command_makes_one_of_the_same_stack(line: CommandLine) -> None:
    line.engine.answers["list"] = "null"
    assert line.run("backups") == 0
    assert "no backups yet. Make one: dhis2-cluster backup -s dev" in line.out


def test_cores_stop_before_and_start_one_first_after(line: CommandLine) -> None:
    assert line.run("restore", "--yes") == 0, line.error
    done = [step for step in steps(line) if "matches" not in step]
    order = [
        "backup backup.sh unpack bbbbbbbb all",
        "backup.sh begin-restore",
        "stop core-1",
        "restore-request.sh backup bbbbbbbb",
        "restart primary",
        "restart replica-1",
        "exchange-files",
        "FLUSHALL",
        "start core-1",
        "start core-2",
        "finish dev due",
        "backup.sh discard",
    ]
    places = [next(number for number, step in enumerate(done) if words in step) for words in order]
    assert places == sorted(places), done
    assert places[3] > max(number for number, step in enumerate(done) if step.startswith("stop core")), "all of them"
    assert "backup bbbbbbbb is restored" in line.out


def test_latest_is_the_stack_s_own(line: CommandLine) -> None:
    line.run("restore", "latest", "--yes")
    assert any("unpack bbbbbbbb" in step for step in line.engine.done), "c is newer, and of another stack"
    assert line.run("restore", "cccc", "--yes") == 0
    assert any("unpack cccccccc" in step for step in line.engine.done)


def test_nothing_changes_without_a_yes(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert line.run("restore") == NOT_RUN and "nothing was changed" in line.error
    assert not [step for step in line.engine.done if step.startswith(("stop", "restart", "backup backup.sh unpack"))]


def test_without_an_answer_nothing_changes_and_the_option_is_named(
    line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(line)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    for verb in ("restore", "reset"):
        assert line.run(verb) == NOT_RUN, "as in a script"
        assert "nothing was changed. To be asked nothing: --yes" in line.error
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
    line.engine.answers["restored"] = "fails"
    assert line.run("restore", "--yes") == FAILED
    assert "the one before is kept" in line.error
    assert not any("exchange-files" in step for step in line.engine.done), "files and database belong together"
    assert "start core-2" in line.engine.done, "DHIS2 serves the database before"
    assert "finish dev due" not in line.engine.done


def test_another_encryption_password_needs_to_be_in_the_backup(line: CommandLine) -> None:
    line.engine.answers["matches"] = "fails"
    assert line.run("restore", "aaaa", "--yes") == NOT_RUN
    assert "pulumi config set --secret encryptionPassword -s dev" in line.error
    assert "stop core-1" not in line.engine.done


@pytest.mark.parametrize(
    ("deployed", "refused"), [("2.42.3.1", True), ("2.43.0", False), ("2.44", False), ("dev", False)]
)
def test_a_backup_of_a_newer_dhis2_is_refused(line: CommandLine, deployed: str, refused: bool) -> None:
    line.engine.parts["backup"]["Config"]["Env"] = [f"DHIS2_VERSION={deployed}"]
    assert line.run("restore", "--yes") == (NOT_RUN if refused else 0)
    assert ("pulumi config set version 2.43.1 -s dev" in line.error) is refused
    assert ("stop core-1" in " ".join(line.engine.done)) is not refused
    assert line.run("restore", "--files-only", "--yes") == 0, "files have no version"


def test_an_unknown_backup_is_named(line: CommandLine) -> None:
    assert line.run("restore", "dddd") == NOT_RUN
    assert "there is no backup dddd" in line.error


def test_status_shows_the_last_backup_and_the_last_check(line: CommandLine) -> None:
    assert line.run("status") == 0
    assert "today, backup bbbbbbbb" in line.out and "2026-05-02 02:02 UTC" in line.out
    assert line.run("status", "--json") == 0
    assert json.loads(line.out)["last_backup"]["set"] == "bbbbbbbb"
    assert json.loads(line.out)["last_check"] == 1777687320
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
    assert any("backup bbbbbbbb own" in step for step in done)
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


def deploy(line: CommandLine, **environment: str) -> None:
    """Set the environment of the primary."""
    variables = {"KEEP_DATA": "false", "DUMP_KEY": "5eed", "DUMP_NAME": "demo.sql.gz"} | environment
    line.engine.parts["primary"]["Config"]["Env"] = [f"{name}={value}" for name, value in variables.items()]


def test_a_reset_restores_the_dump_again_and_leaves_the_files(line: CommandLine) -> None:
    del line.engine.parts["backup"]
    deploy(line)
    assert line.run("reset", "--yes", "--json") == 0, line.error
    assert json.loads(line.out) == {"stack": "dev", "dump": "the dump demo.sql.gz"}
    order = [
        "restore-request.sh check-dump",
        "stop core-2",
        "restore-request.sh dump",
        "restart primary",
        "restart replica-1",
        "FLUSHALL",
        "start core-1",
        "start core-2",
        "finish dev due",
    ]
    places = [next(number for number, step in enumerate(line.engine.done) if words in step) for words in order]
    assert places == sorted(places), line.engine.done
    assert not any("exchange-files" in step for step in line.engine.done)


@pytest.mark.parametrize("where", ["deployed", "stack file"])
def test_a_reset_of_kept_data_is_refused(line: CommandLine, where: str) -> None:
    deploy(line, KEEP_DATA=str(where == "deployed").lower())
    line.settings["keepData"] = str(where == "stack file").lower()
    assert line.run("reset", "--yes") == NOT_RUN
    assert "pulumi config set keepData false -s dev" in line.error and "dhis2-cluster restore -s dev" in line.error
    assert not line.engine.done


def test_a_reset_asks_and_names_a_dump_that_is_not_there(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(line, DUMP_KEY="none")
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert line.run("reset") == NOT_RUN and "a blank database" in line.error and "nothing was changed" in line.error
    line.engine.answers["check-dump"] = "fails"
    assert line.run("reset", "--yes") == NOT_RUN
    assert "stop core-1" not in line.engine.done


def test_others_are_let_in_once_admin_has_its_password(line: CommandLine) -> None:
    deploy(line)
    line.settings["bind"] = "0.0.0.0"  # noqa: S104 - what is tested
    assert line.run("reset", "--yes") == 0, line.error
    done = line.engine.done
    assert done.index("primary bash passwords.sh set-admin open") < next(
        number for number, step in enumerate(done) if step.startswith("start core-1")
    )
    assert not any(step.startswith(("stop lb", "start lb")) for step in done), (
        "accounts are changed before DHIS2 starts"
    )
    done.clear()
    line.engine.answers["set-admin"] = "fails"  # as without accounts, in a blank database
    assert line.run("reset", "--yes") == 0, line.error
    order = ["stop lb", "start core-1", "finish dev due", "start lb"]
    places = [next(number for number, step in enumerate(done) if step.startswith(words)) for words in order]
    assert places == sorted(places), done


def test_a_load_balancer_that_stays_stopped_is_named(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: Any) -> None:  # noqa: ANN401 - as the real one
        raise NotReady("DHIS2 refuses the login")

    monkeypatch.setattr("cli.exchange.finish", refused)
    deploy(line)
    line.settings["bind"] = "0.0.0.0"  # noqa: S104 - what is tested
    line.engine.answers["set-admin"] = "fails"
    assert line.run("reset", "--yes") == FAILED
    assert "DHIS2 refuses the login; the load balancer stays stopped" in line.error
    assert "start lb" not in line.engine.done


def in_bucket(line: CommandLine) -> None:
    """Have the stack keep its files in a bucket."""
    line.engine.parts["backup"]["Config"]["Env"] = ["DHIS2_VERSION=2.43.1", "BUCKET=dhis2-files"]


def test_a_backup_beside_a_bucket_says_what_it_has_not(line: CommandLine) -> None:
    in_bucket(line)
    assert line.run("backup") == 0
    assert "uploaded files and apps are in the bucket dhis2-files, and not in it" in line.out
    assert line.run("backup", "--json") == 0
    assert json.loads(line.out) == {"set": "bbbbbbbb", "bucket": "dhis2-files"}


def of_bucket(line: CommandLine) -> None:
    """Have the newest set of the stack made beside a bucket."""
    sets = [SETS[0] | {"tags": [*TAGS, "bucket=dhis2-files"]}, *SETS[1:]]
    line.engine.answers["list"] = json.dumps(sets)


def test_the_bucket_of_a_backup_is_listed(line: CommandLine) -> None:
    of_bucket(line)
    assert line.run("backups") == 0 and "files in bucket dhis2-files" in line.out
    assert line.run("backups", "--json") == 0
    assert [item["bucket"] for item in json.loads(line.out)] == ["", "dhis2-files", ""]


@pytest.mark.parametrize("prepare", [of_bucket, in_bucket])
def test_only_the_database_is_restored_where_files_are_in_a_bucket(line: CommandLine, prepare: Any) -> None:  # noqa: ANN401 - one of the two
    prepare(line)
    assert line.run("restore", "--yes", "--json") == 0, line.error
    assert json.loads(line.out)["parts"] == "database"
    assert "warning: the files stay as they are" in line.error and "dhis2-files" in line.error
    assert "backup backup.sh unpack bbbbbbbb database" in line.engine.done
    assert not any("exchange-files" in step for step in line.engine.done)


@pytest.mark.parametrize("prepare", [of_bucket, in_bucket])
def test_files_alone_are_not_restored_where_they_are_in_a_bucket(line: CommandLine, prepare: Any) -> None:  # noqa: ANN401 - one of the two
    prepare(line)
    assert line.run("restore", "--files-only", "--yes") == NOT_RUN
    assert "dhis2-files" in line.error
    assert not any("unpack" in step for step in line.engine.done)
