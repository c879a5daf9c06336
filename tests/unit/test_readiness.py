"""Waiting for containers: when the wait ends, and what is reported."""

import asyncio
from typing import Any

import pytest
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import ReadTimeout

from components.orchestrator import docker_watcher, readiness
from components.orchestrator.container_state import Condition, Evaluation, evaluate, failure_lines
from components.orchestrator.docker_watcher import DockerWatcher
from components.orchestrator.watcher import NotReady, WaitTarget
from tests.support.fake_exec import FakeExec

STOPPED = " and was stopped by hand; start it: pulumi up --refresh"
ENDLESS_SECONDS = 10  # a wait that would not end fails its test
CHECK = ["/bin/sh", "/health.sh", "core"]


def state(status: str, health: str = "", restarts: int = 0, **more: object) -> dict[str, Any]:
    reported: dict[str, Any] = {"Status": status, **more}
    if health:
        reported["Health"] = {"Status": health}
    memory = {"Memory": 512 * 2**20}
    return {
        "HostConfig": memory,
        "State": reported,
        "RestartCount": restarts,
        "Config": {"Healthcheck": {"Test": ["CMD", *CHECK]}},
    }


@pytest.mark.parametrize(
    ("inspected", "condition", "evaluation"),
    [
        (state("running", "healthy"), Condition.SERVICE_HEALTHY, Evaluation(ready=True)),
        (state("running", "healthy", 5), Condition.SERVICE_HEALTHY, Evaluation(ready=True)),
        (state("running", "starting"), Condition.SERVICE_HEALTHY, Evaluation(status="starting")),
        (state("running", "unhealthy"), Condition.SERVICE_HEALTHY, Evaluation(status="unhealthy")),
        (state("running", "starting", 1), Condition.SERVICE_HEALTHY, Evaluation(reason="exited and was restarted")),
        (
            state("restarting", ExitCode=3),
            Condition.SERVICE_HEALTHY,
            Evaluation(reason="exited with code 3", status="restarting"),
        ),
        (
            state("exited", ExitCode=0),
            Condition.SERVICE_HEALTHY,
            Evaluation(reason=f"exited with code 0{STOPPED}", status="exited"),
        ),
        (
            state("exited", ExitCode=137, OOMKilled=True),
            Condition.SERVICE_HEALTHY,
            Evaluation(reason="was OOM-killed (memory limit 512 MB)", status="exited"),
        ),
        (state("created"), Condition.SERVICE_HEALTHY, Evaluation(status="created")),
        (
            state("created", Error="no such port"),
            Condition.SERVICE_HEALTHY,
            Evaluation(reason="did not start: no such port", status="created"),
        ),
        (state("paused"), Condition.SERVICE_HEALTHY, Evaluation(reason="is paused", status="paused")),
        (state("running"), Condition.SERVICE_COMPLETED_SUCCESSFULLY, Evaluation(status="running")),
        (state("exited", ExitCode=0), Condition.SERVICE_COMPLETED_SUCCESSFULLY, Evaluation(ready=True)),
        (
            state("exited", ExitCode=1),
            Condition.SERVICE_COMPLETED_SUCCESSFULLY,
            Evaluation(reason="exited with code 1", status="exited"),
        ),
        (state("dead", ExitCode=0), Condition.SERVICE_COMPLETED_SUCCESSFULLY, Evaluation(ready=True)),
        (
            state("dead", ExitCode=1),
            Condition.SERVICE_HEALTHY,
            Evaluation(reason="exited with code 1", status="dead"),
        ),
        (
            state("removing", ExitCode=1),
            Condition.SERVICE_HEALTHY,
            Evaluation(reason="exited with code 1", status="removing"),
        ),
    ],
)
def test_a_container_is_evaluated_by_its_inspection(
    inspected: dict[str, Any], condition: Condition, evaluation: Evaluation
) -> None:
    assert evaluate(inspected, condition, 0) == evaluation


def test_restarts_before_the_wait_do_not_count() -> None:
    assert evaluate(state("running", "starting", 4), Condition.SERVICE_HEALTHY, 4) == Evaluation(status="starting")


def test_the_fatal_line_of_a_script_comes_last() -> None:
    log = ["restoring", "fatal: the dump is an HTML page", "starting again"]
    assert failure_lines(log) == log[:2], "the log of the next start is no part of the failure"


def test_the_cause_of_a_failure_is_shown_also_when_much_was_logged_after_it() -> None:
    cause = ["Caused by: org.flywaydb.FlywayValidateException: Validate failed:", "Detected applied migration 2.43.1"]
    trace = [
        "java.lang.RuntimeException",
        "\tat org.hisp.dhis.Start",
        *cause,
        "\tat org.flywaydb.Flyway",
        "\t... 12 more",
    ]
    log = [*trace, *(f"INFO {number}" for number in range(30)), "fatal: DHIS2 failed to start", "INFO next start"]
    expected = ["INFO 28", "INFO 29", "fatal: DHIS2 failed to start"]
    shown = failure_lines([*log[:3], *log], 3)
    assert shown == [trace[0], *cause, *expected], "the same error of the start before is not repeated"


@pytest.mark.parametrize(
    "line",
    [
        "SEVERE the database does not exist",
        "org.flywaydb.core.api.FlywayException: Validate failed",
        "Caused by: java.net.ConnectException: Connection refused",
        "java.lang.OutOfMemoryError: Java heap space",
        "PANIC: could not write to file",
    ],
)
def test_errors_before_the_end_of_a_log_are_shown(line: str) -> None:
    log = [line, "\tat a.stack.Frame", *(f"line {number}" for number in range(100))]
    assert failure_lines(log, 3) == [line, "line 97", "line 98", "line 99"]


def test_empty_lines_of_a_log_are_left_out() -> None:
    assert failure_lines(["one  ", "", "two", " "], 3) == ["one", "two"]


class Engine(FakeExec):
    """Answers inspections from a list, repeating the last one, and logs with fixed lines. `codes` are the exit codes of
    commands, repeating the last one; None: the container has just exited."""

    def __init__(
        self, *answers: dict[str, Any] | None, log: str | bytes = "", codes: list[int | None] | None = None
    ) -> None:
        self.answers, self.log, self.api = list(answers), log, self
        self.codes, self.commands = codes or [1], list[list[str]]()

    def exec_create(self, name: str, command: list[str]) -> dict[str, str]:
        self.commands.append(command)
        if self.codes[0] is None:
            raise APIError("is not running")
        return {"Id": "1"}

    def output_of(self, _: str) -> bytes:
        return b""

    def exec_inspect(self, _: str) -> dict[str, Any]:
        return {"ExitCode": self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]}

    def inspect_container(self, name: str) -> dict[str, Any]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise NotFound(name)
        return answer

    def logs(self, name: str, tail: int) -> bytes:
        return self.log.encode() if isinstance(self.log, str) else self.log


def wait(
    monkeypatch: pytest.MonkeyPatch, engine: Engine, condition: Condition = Condition.SERVICE_HEALTHY, seconds: int = 60
) -> list[str]:
    reported: list[str] = []
    monkeypatch.setattr(readiness, "POLL_SECONDS", 0)
    monkeypatch.setattr(docker_watcher, "PROBE_SECONDS", 0)
    monkeypatch.setattr(readiness, "REPORT_SECONDS", 0)
    monkeypatch.setattr(readiness, "connect", lambda _: engine)
    waits = DockerWatcher(None, seconds, reported.append).until_ready([WaitTarget("stack-core-1", "core 1", condition)])
    asyncio.run(asyncio.wait_for(waits, ENDLESS_SECONDS))
    return reported


def test_a_wait_reports_the_last_log_line_until_the_container_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    starting = state("running", "starting")
    reported = wait(
        monkeypatch, Engine(starting, starting, starting, state("running", "healthy"), log="migrating V2_43\n")
    )
    assert reported == ["core 1: migrating V2_43"], "once per line"


def test_a_container_is_ready_when_its_healthcheck_passes_before_docker_runs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(state("running", "starting"), codes=[1, 1, 0])
    assert wait(monkeypatch, engine, seconds=5) == ["core 1: starting"], "Docker never reported it as healthy"
    assert engine.commands == [CHECK] * 3, "the healthcheck's own command"


def test_a_healthy_container_is_not_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(state("running", "healthy"), codes=[0])
    wait(monkeypatch, engine)
    assert not engine.commands


def test_a_container_past_its_start_period_is_probed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(state("running", "unhealthy"), codes=[1, 0])
    wait(monkeypatch, engine, seconds=5)
    assert engine.commands == [CHECK] * 2, "a long migration ends after Docker has called the core unhealthy"


def test_two_waits_for_one_container_probe_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(state("running", "starting"), codes=[0])
    monkeypatch.setattr(readiness, "POLL_SECONDS", 0)
    monkeypatch.setattr(readiness, "connect", lambda _: engine)
    asyncio.run(DockerWatcher(None, 5, print).until_ready([WaitTarget("stack-core-1", "core 1")] * 2))
    assert len(engine.commands) == 1


def test_a_container_that_exits_during_a_probe_is_reported_with_its_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(state("running", "starting"), state("exited", ExitCode=1), log="fatal: no disk\n", codes=[None])
    with pytest.raises(NotReady, match="exited with code 1"):
        wait(monkeypatch, engine)


def test_a_container_that_exits_ends_the_wait_with_its_last_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(state("running", "starting"), state("exited", ExitCode=1), log="one\nfatal: no such database\n")
    with pytest.raises(NotReady) as error:
        wait(monkeypatch, engine)
    assert str(error.value).splitlines() == [
        f"core 1 exited with code 1{STOPPED}",
        "  | one",
        "  | fatal: no such database",
        "  Full log: docker logs stack-core-1",
    ]


def test_a_wait_ends_after_ready_timeout_and_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReady, match=r"not ready after 0 s \(starting\).*pulumi config set readyTimeout"):
        wait(monkeypatch, Engine(state("running", "starting")), seconds=0)


def test_a_container_removed_by_hand_is_named_with_the_command_that_restores_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(NotReady, match=r"stack-core-1\) no longer exists; recreate it: pulumi up --refresh"):
        wait(monkeypatch, Engine(None))


def test_a_completed_container_may_be_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wait(monkeypatch, Engine(None), Condition.SERVICE_COMPLETED_SUCCESSFULLY) == []


def test_a_log_that_is_no_utf_8_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReady, match=r"caf.{1,3} is closed"):
        wait(monkeypatch, Engine(state("exited", ExitCode=1), log=b"caf\xe9 is closed\n\n"))


def test_a_long_log_line_is_cut_in_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    starting = state("running", "starting")
    (line,) = wait(monkeypatch, Engine(starting, starting, state("running", "healthy"), log="x" * 5000))
    assert line == f"core 1: {'x' * readiness.LONGEST_LINE}", "it would fill the terminal"


def after_command(monkeypatch: pytest.MonkeyPatch, *codes: int | None, seconds: int = 5) -> Engine:
    """Return the Engine after `until_succeeds` with a command that exits with these codes."""
    engine = Engine(state("running", "healthy"), log="upstream timed out\n", codes=list(codes))
    monkeypatch.setattr(readiness, "POLL_SECONDS", 0)
    monkeypatch.setattr(readiness, "connect", lambda _: engine)
    target = WaitTarget("stack-lb", "the load balancer")
    waits = DockerWatcher(None, seconds, print).until_succeeds(target, ["ping"], "does not answer")
    asyncio.run(asyncio.wait_for(waits, ENDLESS_SECONDS))
    return engine


def test_a_command_is_repeated_until_it_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(after_command(monkeypatch, 0).commands) == 1
    assert after_command(monkeypatch, 22, 7, 0).commands == [["ping"]] * 3, "its exit code counts"


def test_a_command_that_never_succeeds_ends_the_wait_with_its_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReady) as error:
        after_command(monkeypatch, 22, seconds=0)
    assert str(error.value).splitlines() == [
        "the load balancer does not answer",
        "  | upstream timed out",
        "  Full log: docker logs stack-lb",
    ]


@pytest.mark.parametrize(
    "problem",
    [
        ConnectionRefusedError("Connection refused"),
        DockerException("Connection refused"),
        ReadTimeout("Connection refused"),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_a_docker_engine_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    def refuse(_: object) -> None:
        raise problem

    monkeypatch.setattr(readiness, "connect", refuse)
    with pytest.raises(NotReady, match=r"tcp://there:1.*Connection refused"):
        asyncio.run(DockerWatcher("tcp://there:1", 1, print).until_ready([WaitTarget("x", "x")]))
