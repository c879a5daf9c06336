"""Running commands: side by side, on the terminal, for what they say; and how a failure is told."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tools import terminal
from tools.terminal import INTERRUPTED, ToolError, ask, attached, capture, stream, together


@pytest.fixture
def nothing_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_given_up", threading.Event())


@pytest.mark.usefixtures("nothing_failed")
def test_of_steps_side_by_side_the_first_failure_ends_the_others_and_is_reported() -> None:
    def fail() -> None:
        while not terminal._running and time.monotonic() < begun + 10:
            time.sleep(0.01)
        raise ToolError("first")

    begun = time.monotonic()
    with pytest.raises(ToolError, match="first"):
        together({"failing": fail, "long": lambda: stream("long", ["sleep", "30"])})
    assert time.monotonic() - begun < 10, "nobody waits for a step whose result is of no use"
    with pytest.raises(ToolError, match="another step failed"):
        stream("next", ["true"])


def test_a_command_that_fails_is_named_with_what_it_said() -> None:
    with pytest.raises(ToolError, match=r"(?s)exit code 3.*no luck"):
        capture(["sh", "-c", "echo no luck >&2; exit 3"])
    with pytest.raises(ToolError, match="no-such-command cannot be started"):
        capture(["no-such-command"])


INTERRUPT = "sleep 0.2; kill -INT $PPID; sleep 0.1; exit"


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 4", 4), (f"{INTERRUPT} 0", 0), (f"{INTERRUPT} 4", INTERRUPTED)],
    ids=["well", "failed", "well, after Ctrl-C", "ended by Ctrl-C"],
)
def test_a_command_on_the_terminal_says_itself_how_it_ended(script: str, code: int) -> None:
    assert attached(["sh", "-c", script]) == code, "pulumi may finish what it has begun"


def test_a_command_may_answer_with_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "made").touch()
    assert ask("make", ["sh", "-c", f"echo working; echo warning >&2; echo {tmp_path}/made"]) == tmp_path / "made"
    told = capsys.readouterr().out
    assert "working" in told and "warning" in told, "a person sees what takes so long"
    assert "made" not in told


@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo /no/such/file", "it named no file"), ("exit 3", "exit code 3")],
    ids=["none", "failed"],
)
def test_a_command_that_names_no_file_has_failed(script: str, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        ask("make", ["sh", "-c", script])


def test_a_failed_command_that_named_a_file_has_failed_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "made").touch()
    with pytest.raises(ToolError, match="exit code 3") as error:
        ask("make", ["sh", "-c", f"echo {tmp_path}/made; exit 3"])
    assert "named no file" not in str(error.value), "one reason, and the right one"
