"""Waiting for containers: when waiting ends, and what the person is told."""

import asyncio
from typing import Any

import pytest
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import ReadTimeout

from components.engine import watch
from components.engine.verdict import Goal, Verdict, judge, telling_lines
from components.engine.watch import Awaited, NotReady, Watcher

STOPPED = " and was stopped by somebody; start it again: pulumi up --refresh"
ENDLESS_SECONDS = 10  # a wait that would not end fails its test
CHECK = ["/bin/sh", "/health.sh", "core"]


def state(status: str, health: str = "", restarts: int = 0, **more: object) -> dict[str, Any]:
    found: dict[str, Any] = {"Status": status, **more}
    if health:
        found["Health"] = {"Status": health}
    return {"State": found, "RestartCount": restarts, "Config": {"Healthcheck": {"Test": ["CMD", *CHECK]}}}


@pytest.mark.parametrize(
    ("inspected", "goal", "verdict"),
    [
        (state("running", "healthy"), Goal.HEALTHY, Verdict(ready=True)),
        (state("running", "healthy", 5), Goal.HEALTHY, Verdict(ready=True)),
        (state("running", "starting"), Goal.HEALTHY, Verdict(status="starting")),
        (state("running", "unhealthy"), Goal.HEALTHY, Verdict(status="unhealthy")),
        (state("running", "starting", 1), Goal.HEALTHY, Verdict(reason="ended and was started again")),
        (state("restarting", ExitCode=3), Goal.HEALTHY, Verdict(reason="ended with exit code 3", status="restarting")),
        (
            state("exited", ExitCode=0),
            Goal.HEALTHY,
            Verdict(reason=f"ended with exit code 0{STOPPED}", status="exited"),
        ),
        (
            state("exited", ExitCode=137, OOMKilled=True),
            Goal.HEALTHY,
            Verdict(reason=f"was ended for using more memory than its limit{STOPPED}", status="exited"),
        ),
        (state("created"), Goal.HEALTHY, Verdict(status="created")),
        (
            state("created", Error="no such port"),
            Goal.HEALTHY,
            Verdict(reason="did not start: no such port", status="created"),
        ),
        (state("paused"), Goal.HEALTHY, Verdict(reason="is paused", status="paused")),
        (state("running"), Goal.FINISHED, Verdict(status="running")),
        (state("exited", ExitCode=0), Goal.FINISHED, Verdict(ready=True)),
        (state("exited", ExitCode=1), Goal.FINISHED, Verdict(reason="ended with exit code 1", status="exited")),
        (state("dead", ExitCode=0), Goal.FINISHED, Verdict(ready=True)),
        (state("dead", ExitCode=1), Goal.HEALTHY, Verdict(reason="ended with exit code 1", status="dead")),
        (state("removing", ExitCode=1), Goal.HEALTHY, Verdict(reason="ended with exit code 1", status="removing")),
    ],
)
def test_a_container_is_judged_by_what_the_engine_says(inspected: dict[str, Any], goal: Goal, verdict: Verdict) -> None:
    assert judge(inspected, goal, 0) == verdict


def test_restarts_before_the_wait_do_not_count() -> None:
    assert judge(state("running", "starting", 4), Goal.HEALTHY, 4) == Verdict(status="starting")


def test_the_line_a_script_gives_up_with_comes_last() -> None:
    log = ["loading", "fatal: the dump is an HTML page", "starting again"]
    assert telling_lines(log) == log[:2], "what the next start says is no part of the failure"


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
def test_errors_before_the_end_of_a_log_are_shown_too(line: str) -> None:
    log = [line, *(f"line {number}" for number in range(100))]
    assert telling_lines(log, 3) == [line, "line 97", "line 98", "line 99"]


def test_empty_lines_of_a_log_tell_nothing() -> None:
    assert telling_lines(["one  ", "", "two", " "], 3) == ["one", "two"]


class Engine:
    """Answers inspections from a script, the last one for ever, and logs with fixed lines. `checks` are the exit codes
    of commands, the last one for ever; None: the container has just ended."""

    def __init__(
        self, *answers: dict[str, Any] | None, log: str | bytes = "", checks: list[int | None] | None = None
    ) -> None:
        self.answers, self.log, self.api = list(answers), log, self
        self.checks, self.commands = checks or [1], list[tuple[list[str], dict[str, str]]]()

    def exec_create(self, name: str, command: list[str], environment: dict[str, str]) -> dict[str, str]:
        self.commands.append((command, environment))
        if self.checks[0] is None:
            raise APIError("is not running")
        return {"Id": "1"}

    def exec_start(self, _: str) -> bytes:
        return b""

    def exec_inspect(self, _: str) -> dict[str, Any]:
        return {"ExitCode": self.checks.pop(0) if len(self.checks) > 1 else self.checks[0]}

    def inspect_container(self, name: str) -> dict[str, Any]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise NotFound(name)
        return answer

    def logs(self, name: str, tail: int) -> bytes:
        return self.log.encode() if isinstance(self.log, str) else self.log


def wait(monkeypatch: pytest.MonkeyPatch, engine: Engine, goal: Goal = Goal.HEALTHY, seconds: int = 60) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(watch, "POLL_SECONDS", 0)
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0)
    monkeypatch.setattr(watch, "SAY_EVERY_SECONDS", 0)
    monkeypatch.setattr(watch, "connect", lambda _: engine)
    waits = Watcher(None, seconds, said.append).until_ready([Awaited("stack-core-1", "core 1", goal)])
    asyncio.run(asyncio.wait_for(waits, ENDLESS_SECONDS))
    return said


def test_waiting_says_what_a_container_does_until_it_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    starting = state("running", "starting")
    said = wait(monkeypatch, Engine(starting, starting, starting, state("running", "healthy"), log="migrating V2_43\n"))
    assert said == ["core 1: migrating V2_43"], "each line once"


def test_a_container_is_ready_when_its_own_check_passes_before_the_engine_has_run_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(state("running", "starting"), checks=[1, 1, 0])
    assert wait(monkeypatch, engine, seconds=5) == ["core 1: starting"], "the engine never said that it is healthy"
    assert engine.commands == [(CHECK, {"LOOK": "1"})] * 3, "the same command, which is told that it does not count"


@pytest.mark.parametrize("status", ["unhealthy", "healthy"])
def test_where_the_engine_has_run_the_check_it_decides(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    engine = Engine(state("running", status), state("running", "healthy"), checks=[0])
    wait(monkeypatch, engine)
    assert not engine.commands


def test_a_check_is_not_run_twice_for_two_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(state("running", "starting"), checks=[0])
    monkeypatch.setattr(watch, "POLL_SECONDS", 0)
    monkeypatch.setattr(watch, "connect", lambda _: engine)
    asyncio.run(Watcher(None, 5, print).until_ready([Awaited("stack-core-1", "core 1")] * 2))
    assert len(engine.commands) == 1


def test_a_container_that_ends_while_it_is_looked_at_is_told_by_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(state("running", "starting"), state("exited", ExitCode=1), log="fatal: no disk\n", checks=[None])
    with pytest.raises(NotReady, match="ended with exit code 1"):
        wait(monkeypatch, engine)


def test_a_container_that_ends_ends_the_wait_with_its_last_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(state("running", "starting"), state("exited", ExitCode=1), log="one\nfatal: no such database\n")
    with pytest.raises(NotReady) as error:
        wait(monkeypatch, engine)
    assert str(error.value).splitlines() == [
        f"core 1 ended with exit code 1{STOPPED}",
        "  | one",
        "  | fatal: no such database",
        "  All of it: docker logs stack-core-1",
    ]


def test_a_wait_is_bounded_and_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReady, match=r"not ready after 0 s .*readyTimeout"):
        wait(monkeypatch, Engine(state("running", "starting")), seconds=0)


def test_a_container_removed_by_hand_is_named_with_the_command_that_restores_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(NotReady, match=r"stack-core-1\) is gone.*pulumi up --refresh"):
        wait(monkeypatch, Engine(None))


def test_a_finished_job_may_be_tidied_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wait(monkeypatch, Engine(None), Goal.FINISHED) == []


def test_a_log_that_is_no_utf_8_is_shown_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReady, match=r"caf.{1,3} is closed"):
        wait(monkeypatch, Engine(state("exited", ExitCode=1), log=b"caf\xe9 is closed\n\n"))


def test_a_long_line_is_cut_while_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    starting = state("running", "starting")
    (line,) = wait(monkeypatch, Engine(starting, starting, state("running", "healthy"), log="x" * 5000))
    assert line == f"core 1: {'x' * watch.LONGEST_LINE}", "it would fill the terminal"


def asked(monkeypatch: pytest.MonkeyPatch, *codes: int | None, seconds: int = 5) -> Engine:
    """The engine after `until_succeeds` with a command that ends with these codes."""
    engine = Engine(state("running", "healthy"), log="upstream timed out\n", checks=list(codes))
    monkeypatch.setattr(watch, "POLL_SECONDS", 0)
    monkeypatch.setattr(watch, "connect", lambda _: engine)
    awaited = Awaited("stack-lb", "the load balancer")
    waits = Watcher(None, seconds, print).until_succeeds(awaited, ["ping"], "nobody answers")
    asyncio.run(asyncio.wait_for(waits, ENDLESS_SECONDS))
    return engine


def test_a_command_is_repeated_until_it_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(asked(monkeypatch, 0).commands) == 1
    assert asked(monkeypatch, 22, 7, 0).commands == [(["ping"], {})] * 3, "its exit code counts"


def test_a_command_that_never_succeeds_ends_the_wait_with_what_it_means(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotReady) as error:
        asked(monkeypatch, 22, seconds=0)
    assert str(error.value).splitlines() == [
        "the load balancer is up, but nobody answers",
        "  | upstream timed out",
        "  All of it: docker logs stack-lb",
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
def test_an_engine_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    def refuse(_: object) -> None:
        raise problem

    monkeypatch.setattr(watch, "connect", refuse)
    with pytest.raises(NotReady, match=r"tcp://there:1.*Connection refused"):
        asyncio.run(Watcher("tcp://there:1", 1, print).until_ready([Awaited("x", "x")]))
