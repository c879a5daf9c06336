"""`dhis2-cluster status`: what it reports, and the exit code that follows from it."""

import json
import time
from typing import Any

import pytest
from rich.console import Console

from cli import report as cli_report
from cli.containers import StackContainers
from cli.databases import READ_APPLICATION
from cli.report import CACHE_CLIENT, Collector, StackStatus
from cli.rows import ANALYTICS, NOT_RESTORED, ROWS, Row
from cli.table import StatusTable, duration, size
from tests.support.program import Run
from tests.unit.cli.engine import PRIMARY, REPLICA, CommandLine, container, volume

DF = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/my disk 9000 4000 4096 45% /var/lib/postgresql\n"


def report(line: CommandLine) -> dict[str, Any]:
    line.run("status", "--json")
    return dict(json.loads(line.out))


def part(line: CommandLine, name: str) -> dict[str, Any]:
    (status,) = (entry for entry in report(line)["parts"] if entry["part"] == name)
    return dict(status)


@pytest.fixture(autouse=True)
def answers(command_line: CommandLine) -> None:
    """What the databases, the cache and the disks answer."""
    command_line.engine.answers = {
        "primary": json.dumps(PRIMARY),
        "replica-1": json.dumps(REPLICA),
        "cache": "core-2\n",
        "primary du": f"2048\t/var/lib/postgresql\n{DF}",
        "replica-1 du": f"2000\t/var/lib/postgresql\n{DF}",
        "core-1 du": f"12\t/opt/dhis2/files\n{DF}",
    }


def test_a_healthy_stack_has_exit_code_0_and_each_part_once(command_line: CommandLine) -> None:
    assert command_line.run("status", "--json") == 0
    shown = json.loads(command_line.out)
    assert [entry["part"] for entry in shown["parts"]] == [
        "lb", "core-1", "core-2", "cache", "primary", "replica-1", "dump",
    ]  # fmt: skip
    assert (shown["stack"], shown["url"], shown["healthy"]) == ("dev", "http://127.0.0.1:8080", True)


def test_memory_is_what_docker_stats_shows(command_line: CommandLine) -> None:
    lb = part(command_line, "lb")
    assert (lb["memory_bytes"], lb["memory_limit_bytes"]) == (128 * 2**20, 512 * 2**20)


def test_versions_come_from_the_running_program_where_it_reports_one(command_line: CommandLine) -> None:
    versions = {entry["part"]: entry["version"] for entry in report(command_line)["parts"]}
    assert versions["core-1"] == "DHIS2 2.42.3.1 (0123456)", "core-dev:latest is many versions"
    assert versions["primary"] == "PostgreSQL 17.2"
    assert versions["cache"] == "Valkey 8.1.4"
    assert versions["lb"] == "nginx:1.29"


def test_the_leader_is_the_one_in_the_cache(command_line: CommandLine) -> None:
    assert [entry["part"] for entry in report(command_line)["parts"] if entry["leader"]] == ["core-2"]


def test_a_replica_s_lag_is_in_bytes_and_seconds_and_its_reads_are_proven(command_line: CommandLine) -> None:
    database = part(command_line, "replica-1")["database"]
    assert (database["state"], database["lag_bytes"], database["lag_seconds"]) == ("streaming", 512, 0)
    assert (database["read_sessions"], database["table_scans"]) == (4, 3041)
    command_line.run("status")
    assert "streaming, 512 B and 0 s behind" in command_line.out
    assert "4 read sessions, last statement 2 s ago, 3,041 table scans" in command_line.out


def test_a_replica_that_is_asked_after_its_primary_is_not_ahead(command_line: CommandLine) -> None:
    command_line.engine.answers["replica-1"] = json.dumps(REPLICA | {"lsn": PRIMARY["lsn"] + 100})
    assert part(command_line, "replica-1")["database"]["lag_bytes"] == 0


def test_a_replica_without_its_primary_is_not_connected(command_line: CommandLine) -> None:
    command_line.engine.answers["replica-1"] = json.dumps(REPLICA | {"state": None, "lag_seconds": 75.2})
    del command_line.engine.answers["primary"]
    database = part(command_line, "replica-1")["database"]
    assert (database["state"], database["lag_bytes"], database["lag_seconds"]) == ("not connected", None, 75.2)


def test_reads_that_fall_back_to_the_primary_are_shown(command_line: CommandLine) -> None:
    command_line.engine.answers["primary"] = json.dumps(PRIMARY | {"read_sessions": 3})
    command_line.run("status")
    assert "9 sessions, 3 of them for reads: no replica answered these" in command_line.out


def test_volumes_are_measured_once_each_where_they_are_mounted(command_line: CommandLine) -> None:
    volumes = {entry["volume"]: (entry["used_bytes"], entry["free_bytes"]) for entry in report(command_line)["volumes"]}
    assert volumes == {
        "primary-data": (2048 * 1024, 4096 * 1024),
        "replica-1-data": (2000 * 1024, 4096 * 1024),
        "files": (12 * 1024, 4096 * 1024),
    }


def test_a_volume_is_measured_where_it_is_written(command_line: CommandLine) -> None:
    engine = command_line.engine
    engine.parts["primary"]["Mounts"] += volume("backup", "/repository", writable=False)
    engine.parts["backup"] = container("backup", mounts=volume("backup", "/repository"))
    engine.answers["backup du"] = f"9836\t/repository\n{DF}"
    volumes = {entry["volume"]: entry["used_bytes"] for entry in report(command_line)["volumes"]}
    assert volumes["backup"] == 9836 * 1024, "the primary may not read the repository"


def test_a_volume_that_is_too_large_to_measure_has_its_free_space(command_line: CommandLine) -> None:
    command_line.engine.answers["primary du"] = DF
    volumes = {entry["volume"]: (entry["used_bytes"], entry["free_bytes"]) for entry in report(command_line)["volumes"]}
    assert volumes["primary-data"] == (None, 4096 * 1024)


def test_the_volume_of_a_stopped_part_is_of_unknown_size(command_line: CommandLine) -> None:
    command_line.engine.parts["primary"]["State"]["Status"] = "exited"
    volumes = {entry["volume"]: entry["used_bytes"] for entry in report(command_line)["volumes"]}
    assert volumes["primary-data"] is None
    command_line.run("status")
    assert "primary-data" in command_line.out


UNHEALTHY = {
    "unhealthy": ({"Health": {"Status": "unhealthy", "Log": [{"Output": "replays nothing\n"}]}}, "replays nothing"),
    "starting": ({"Health": {"Status": "starting", "Log": []}}, ""),
    "exited": ({"Status": "exited", "ExitCode": 3}, "exited with code 3"),
    "out of memory": ({"Status": "exited", "ExitCode": 137, "OOMKilled": True}, "was OOM-killed (memory limit 512 MB)"),
    "paused": ({"Status": "paused"}, "is paused"),
}


@pytest.mark.parametrize("case", UNHEALTHY)
def test_a_part_that_is_not_healthy_has_its_reason_and_exit_code_1(command_line: CommandLine, case: str) -> None:
    state, reason = UNHEALTHY[case]
    command_line.engine.parts["core-2"] = container("core-2", state=state)
    assert command_line.run("status") == 1
    assert reason in command_line.out
    assert report(command_line)["healthy"] is False


def test_parts_that_were_stopped_by_hand_are_shown_with_the_command_that_starts_them(command_line: CommandLine) -> None:
    command_line.engine.parts["core-2"] = container("core-2", state={"Status": "exited"})
    assert part(command_line, "core-2")["reason"].endswith("stopped by hand; start it: dhis2-cluster start -s dev")


@pytest.mark.parametrize(("answers", "health"), [({"core-2": ""}, "healthy"), ({}, "starting")])
def test_a_part_that_docker_has_not_checked_yet_is_checked_now(
    command_line: CommandLine, answers: dict[str, str], health: str
) -> None:
    command_line.engine.answers |= answers
    state = {"Health": {"Status": "starting", "Log": []}}
    command_line.engine.parts["core-2"] = container("core-2", state=state)
    assert part(command_line, "core-2")["health"] == health, "a script may call it right after pulumi up"


def test_a_part_of_the_settings_without_a_container_is_missing(command_line: CommandLine) -> None:
    del command_line.engine.parts["core-2"]
    assert command_line.run("status") == 1
    assert "has no container; create it: pulumi up --refresh -s dev" in command_line.out


def test_a_dump_container_that_was_pruned_is_not_missing(command_line: CommandLine) -> None:
    del command_line.engine.parts["dump"]
    assert command_line.run("status") == 0


def test_a_failed_fetch_of_a_dump_is_not_healthy(command_line: CommandLine) -> None:
    command_line.engine.parts["dump"] = container("dump", policy="no", state={"Status": "exited", "ExitCode": 1})
    assert command_line.run("status") == 1


def test_databases_that_do_not_answer_leave_the_rest(command_line: CommandLine) -> None:
    command_line.engine.answers = {"replica-1": "psql: error"}
    shown = report(command_line)
    assert [entry["database"] for entry in shown["parts"]] == [None] * 7
    assert shown["healthy"] is True, "health is what the healthchecks report"


def add(monkeypatch: pytest.MonkeyPatch, *rows: Row | None) -> None:
    """Have rows of other modules in the table."""
    sources = [lambda _, __, row=row: row for row in rows]
    monkeypatch.setattr(cli_report, "ROWS", (*ROWS, *sources))


def test_a_row_of_another_module_is_in_the_table_and_for_scripts_under_its_name(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(monkeypatch, Row(name="last backup", text="3 h ago", value={"age_seconds": 10_800}), None)
    assert report(command_line)["last_backup"] == {"age_seconds": 10_800}
    assert command_line.run("status") == 0
    assert "last backup  3 h ago" in command_line.out


@pytest.mark.parametrize(
    ("text", "state"),
    [("done", "done"), ("running for 3 minutes (job aB3dE6gH9jK)", "running"), ("failed: 42P01: no table", "failed")],
)
def test_the_analytics_tables_after_a_restore_have_a_row(command_line: CommandLine, text: str, state: str) -> None:
    command_line.engine.answers["primary analytics"] = f"{text}\n"
    shown = report(command_line)
    assert (shown["analytics"], shown["healthy"]) == (state, True)
    assert command_line.run("status") == 0
    assert f"analytics  {text}" in command_line.out


def test_analytics_tables_of_a_blank_database_have_no_row(command_line: CommandLine) -> None:
    command_line.engine.answers["primary analytics"] = f"{NOT_RESTORED}\n"
    assert "analytics" not in report(command_line)


def test_a_row_that_is_not_healthy_is_exit_code_1(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    add(monkeypatch, Row(name="certificate", text="expired yesterday", value=-1, healthy=False))
    assert report(command_line)["healthy"] is False
    assert command_line.run("status") == 1


def test_disks_are_measured_less_often_than_the_rest(command_line: CommandLine) -> None:
    collector = Collector(StackContainers(command_line.find()))
    collector.collect()
    measured = len(command_line.engine.executed)
    collector.collect()
    repeated = [command for _, command in command_line.engine.executed[measured:]]
    assert repeated and not [command for command in repeated if "du -sk" in " ".join(command)]


def test_the_files_that_status_reads_are_in_the_containers(built: Run) -> None:
    stack = built(cores=1, replicas=1)
    assert CACHE_CLIENT in stack.container("cache").files
    assert NOT_RESTORED in stack.container("primary").files[ANALYTICS]
    assert f"ApplicationName={READ_APPLICATION}&" in stack.container("core-1").files["/opt/dhis2/dhis.conf"]


def test_the_password_of_the_cache_is_on_no_command_line(command_line: CommandLine) -> None:
    command_line.run("status")
    scripts = [" ".join(command) for name, command in command_line.engine.executed if name == "cache"]
    assert [script for script in scripts if CACHE_CLIENT in script], "it is read inside the container"


def test_the_table_fits_into_a_terminal_of_80_columns(command_line: CommandLine) -> None:
    console = Console(width=80)
    status: StackStatus = Collector(StackContainers(command_line.find())).collect()
    with console.capture() as captured:
        console.print(StatusTable(status, time.time()))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= 80
    assert any("replica-1" in line and "PostgreSQL 17.2" in line for line in lines)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (180, "3 min"), (7200, "2 h"), (200_000, "2 days")]
)
def test_a_duration_has_one_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "-"), (0, "0 B"), (999, "999 B"), (512 * 2**20, "512 MB"), (1536 * 2**20, "1.5 GB"), (40 * 2**30, "40 GB")],
)
def test_a_size_has_docker_s_units(count: int | None, text: str) -> None:
    assert size(count) == text


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Press Ctrl-C in the third pause of a watched status; return the pauses, in seconds."""
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", pause)
    return pauses


def test_a_watched_status_for_scripts_is_a_line_every_two_seconds(
    command_line: CommandLine, interrupted: list[float]
) -> None:
    assert command_line.run("status", "--watch", "--json") == 0
    assert [json.loads(line)["stack"] for line in command_line.out.splitlines()] == ["dev", "dev", "dev"]
    assert interrupted == [2, 2, 2]


def test_a_watched_status_replaces_itself_on_a_terminal(
    command_line: CommandLine, interrupted: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.verbs.status.Console", lambda: Console(force_terminal=True, width=200, height=60))
    assert command_line.run("status", "-w") == 0
    assert command_line.out.count("streaming, 512 B and 0 s behind") >= 2
    assert "\x1b[?1049h" in command_line.out and command_line.out.endswith("\x1b[?1049l"), (
        "on a screen of its own, which is left at the end"
    )
    assert len(interrupted) == 3
