"""Subprocesses: side by side, on the terminal, for their output; and how a failure is reported."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tools import terminal
from tools.terminal import INTERRUPTED, ToolError, ask, attached, capture, stream, together


@pytest.fixture
def no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_aborted", threading.Event())


@pytest.mark.usefixtures("no_failure")
def test_the_first_failing_step_terminates_the_others_and_is_reported() -> None:
    def fail() -> None:
        while not terminal._running and time.monotonic() < started + 10:
            time.sleep(0.01)
        raise ToolError("first")

    started = time.monotonic()
    with pytest.raises(ToolError, match="first"):
        together({"failing": fail, "long": lambda: stream("long", ["sleep", "30"])})
    assert time.monotonic() - started < 10, "the others are terminated, not awaited"
    with pytest.raises(ToolError, match="another step failed"):
        stream("next", ["true"])


def test_a_failed_command_is_reported_with_its_output() -> None:
    with pytest.raises(ToolError, match=r"(?s)exited with code 3.*no luck"):
        capture(["sh", "-c", "echo no luck >&2; exit 3"])
    with pytest.raises(ToolError, match="no-such-command cannot be started"):
        capture(["no-such-command"])


INTERRUPT = "sleep 0.2; kill -INT $PPID; sleep 0.1; exit"


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 4", 4), (f"{INTERRUPT} 0", 0), (f"{INTERRUPT} 4", INTERRUPTED)],
    ids=["success", "failure", "success after Ctrl-C", "interrupted"],
)
def test_an_attached_command_handles_ctrl_c_itself(script: str, code: int) -> None:
    assert attached(["sh", "-c", script]) == code, "pulumi finishes what it is creating"


def test_ask_returns_the_path_a_command_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "made").touch()
    assert ask("make", ["sh", "-c", f"echo working; echo warning >&2; echo {tmp_path}/made"]) == tmp_path / "made"
    output = capsys.readouterr().out
    assert "working" in output and "warning" in output, "progress is shown"
    assert "made" not in output


@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo /no/such/file", "it printed no path of a file"), ("exit 3", "exited with code 3")],
    ids=["none", "failed"],
)
def test_ask_fails_without_a_path(script: str, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        ask("make", ["sh", "-c", script])


def test_ask_fails_when_the_command_fails(tmp_path: Path) -> None:
    (tmp_path / "made").touch()
    with pytest.raises(ToolError, match="exited with code 3") as error:
        ask("make", ["sh", "-c", f"echo {tmp_path}/made; exit 3"])
    assert "no path of a file" not in str(error.value), "one reason, the right one"
