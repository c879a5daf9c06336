"""`dhis2-cluster analytics`: the job is started and followed by DHIS2's API, and a failure has DHIS2's reason."""

import json
import subprocess
from typing import Any

import pytest

from cli import api, docker_command
from cli.containers import StackContainers
from cli.verbs import analytics
from tests.unit.cli.engine import CommandLine

JOB = "/api/jobConfigurations/abc"
TASKS = "/api/system/tasks/ANALYTICS_TABLE/abc"
STARTED = {"time": "2026-05-01T12:00:00.000", "level": "INFO", "message": "Started", "completed": False}
DONE = {"time": "2026-05-01T12:01:00.000", "level": "INFO", "message": "Updated: 00:01", "completed": True}
BROKEN = {"time": "2026-05-01T12:01:00.000", "level": "ERROR", "message": "read-only transaction", "completed": True}
LOOP = {"time": "2026-05-01T12:00:01.000", "level": "LOOP", "message": "[1/900] partition", "completed": False}
NOT_FOUND = (404, {"message": "There is no such job"})


class FakeDhis2:
    """DHIS2 behind curl: its answers by path, one after the other; the last one stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, Any]]] = {
            "/api/resourceTables/analytics": [(200, {"response": {"id": "abc"}})]
        }
        self.commands: list[list[str]] = []
        self.inputs: list[str] = []

    def pipe(self, _target: object, _part: object, command: list[str], stdin: str) -> Any:  # noqa: ANN401 - a process
        self.commands.append(command)
        self.inputs.append(stdin)
        url = next(line for line in stdin.splitlines() if line.startswith("url")).split('"')[1]
        answers = self.answers[url.removeprefix(api.CORES)]
        status, content = answers.pop(0) if len(answers) > 1 else answers[0]
        body = content if isinstance(content, str) else json.dumps(content)
        return subprocess.CompletedProcess(command, 0, f"{body}\n{status}", "")

    def will(self, path: str, *answers: object) -> None:
        self.answers[path] = [answer if isinstance(answer, tuple) else (200, answer) for answer in answers]


@pytest.fixture
def dhis2(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> FakeDhis2:
    fake = FakeDhis2()
    command_line.outputs = {"username": "admin", "adminPassword": 'a"b\\c'}
    monkeypatch.setattr(docker_command, "pipe", fake.pipe)
    monkeypatch.setattr(StackContainers, "client", command_line.engine)
    monkeypatch.setattr(analytics, "POLL_SECONDS", 0)
    return fake


def test_without_wait_the_job_is_started_only(command_line: CommandLine, dhis2: FakeDhis2) -> None:
    assert command_line.run("analytics") == 0
    assert command_line.out == "analytics job abc started\n"
    assert 'request = "POST"' in dhis2.inputs[0]


def test_the_password_is_on_no_command_line(command_line: CommandLine, dhis2: FakeDhis2) -> None:
    command_line.run("analytics")
    assert 'user = "admin:a\\"b\\\\c"' in dhis2.inputs[0], "quoted as curl's configuration wants it"
    assert not [word for command in dhis2.commands for word in command if 'a"b' in word]


def test_progress_is_shown_once_each_until_the_record_has_ended(command_line: CommandLine, dhis2: FakeDhis2) -> None:
    dhis2.will(JOB, *({"lastExecutedStatus": status} for status in ("NOT_STARTED", "RUNNING", "RUNNING", "COMPLETED")))
    dhis2.will(TASKS, [], [STARTED], [LOOP, STARTED], [DONE, LOOP, STARTED])
    assert command_line.run("analytics", "--wait") == 0
    assert command_line.error.splitlines()[1:] == ["  12:00:00  Started", "  12:01:00  Updated: 00:01"]
    assert command_line.out == "analytics job abc is completed\n"


def test_a_message_that_says_completed_does_not_end_a_job_that_runs(
    command_line: CommandLine, dhis2: FakeDhis2
) -> None:
    dhis2.will(JOB, {"lastExecutedStatus": "NOT_STARTED"}, {"lastExecutedStatus": "COMPLETED"})
    dhis2.will(TASKS, [STARTED | {"completed": True}], [DONE])
    command_line.run("analytics", "--wait")
    assert "Updated: 00:01" in command_line.error, "DHIS2 reports a job that it has not begun as completed"


def test_a_failure_has_dhis2_s_reason_and_exit_code_1(command_line: CommandLine, dhis2: FakeDhis2) -> None:
    dhis2.will(JOB, {"lastExecutedStatus": "FAILED"})
    dhis2.will(TASKS, [BROKEN, STARTED])
    assert command_line.run("analytics", "--wait") == 1
    assert "analytics job abc ended as FAILED: read-only transaction" in command_line.error


def test_a_failure_without_a_message_has_the_error_of_its_last_step(
    command_line: CommandLine, dhis2: FakeDhis2
) -> None:
    dhis2.will(JOB, {"lastExecutedStatus": "FAILED"})
    dhis2.will(TASKS, [STARTED])
    stages = [{"error": None}, {"error": "disk full"}]
    dhis2.will(f"{JOB}/progress", {"sequence": [{"error": "aborted", "stages": stages}]})
    command_line.run("analytics", "--wait")
    assert "ended as FAILED: disk full" in command_line.error


@pytest.mark.parametrize(("last", "code"), [(DONE, 0), (BROKEN, 1)])
def test_before_2_41_the_messages_decide(
    command_line: CommandLine, dhis2: FakeDhis2, last: dict[str, object], code: int
) -> None:
    dhis2.will(JOB, NOT_FOUND)
    dhis2.will(TASKS, [], [STARTED], [last, STARTED])
    assert command_line.run("analytics", "--wait") == code, "its jobs have no record"


def test_for_scripts_only_the_outcome_is_printed(command_line: CommandLine, dhis2: FakeDhis2) -> None:
    dhis2.will(JOB, {"lastExecutedStatus": "FAILED"})
    dhis2.will(TASKS, [BROKEN, STARTED])
    assert command_line.run("analytics", "--wait", "--json") == 1
    assert json.loads(command_line.out) == {"id": "abc", "status": "FAILED", "reason": "read-only transaction"}


REFUSALS = {
    "password": ((401, {"message": "Unauthorized"}), "pulumi config set --secret adminPassword -s dev && pulumi up -s dev"),
    "running": ((409, {"message": "Job already running"}), "DHIS2 answers 409 to POST /api/resourceTables/analytics: Job already running"),
    "starting": ((503, "<html>DHIS2 is starting</html>"), "DHIS2 answers 503 to POST /api/resourceTables/analytics: <html>"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_of_dhis2_has_its_reason(command_line: CommandLine, dhis2: FakeDhis2, case: str) -> None:
    answer, text = REFUSALS[case]
    dhis2.will("/api/resourceTables/analytics", answer)
    assert command_line.run("analytics") == 1
    assert text in command_line.error


def test_a_load_balancer_that_does_not_run_is_named(command_line: CommandLine, dhis2: FakeDhis2) -> None:
    command_line.engine.parts["lb"]["State"]["Status"] = "exited"
    assert command_line.run("analytics") == 2
    assert "lb is not running (exited)" in command_line.error
