"""`dhis2-cluster logs`: all parts in the order of time, and following them through restarts."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from cli import containers
from cli.containers import StackContainers
from cli.errors import CommandError
from cli.verbs import logs
from cli.verbs.logs import Reader, moment_of
from tests.unit.cli.engine import CommandLine, FakeEngine


def stamp(second: int) -> str:
    return f"2026-05-01T12:00:{second:02}.000000000Z"


@pytest.fixture(autouse=True)
def logged(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What two parts have logged, in turn."""
    monkeypatch.setattr(logs, "allow_session", lambda: None)
    command_line.engine.logged = {
        "core-1": [f"{stamp(1)} migrating", f"{stamp(3)} serving é"],
        "primary": [f"{stamp(2)} restored", f"{stamp(4)} "],
    }


def test_lines_of_all_parts_are_in_the_order_of_their_time_behind_their_part(command_line: CommandLine) -> None:
    assert command_line.run("logs") == 0
    assert command_line.out.splitlines() == [
        "core-1    | migrating",
        "primary   | restored",
        "core-1    | serving é",
        "primary   | ",
    ]


def test_a_group_is_all_of_its_parts(command_line: CommandLine) -> None:
    command_line.engine.logged["core-2"] = [f"{stamp(2)} starting"]
    command_line.run("logs", "core")
    assert [line.split()[0] for line in command_line.out.splitlines()] == ["core-1", "core-2", "core-1"]


def test_lines_for_scripts_have_time_and_part(command_line: CommandLine) -> None:
    command_line.run("logs", "primary", "--json")
    first = json.loads(command_line.out.splitlines()[0])
    assert first == {"time": stamp(2), "part": "primary", "line": "restored"}


def test_no_colour_is_written_into_a_file(command_line: CommandLine) -> None:
    command_line.run("logs")
    assert "\x1b" not in command_line.out


def test_each_part_has_a_colour_on_a_terminal(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "coloured", lambda: True)
    command_line.run("logs")
    prefixes = {line.split("|")[0] for line in command_line.out.splitlines()}
    assert len(prefixes) == 2 and all(prefix.startswith("\x1b[") for prefix in prefixes)


def test_following_shows_each_line_once_and_goes_on_after_a_restart(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "RESCAN_SECONDS", 0.01)
    engine = command_line.engine
    calls: list[dict[str, Any]] = []
    allowed: list[None] = []

    def read_log(client: FakeEngine, name: str, **options: Any) -> Iterator[bytes]:  # noqa: ANN401 - since, tail, ...
        calls.append(options)
        if options["follow"]:  # the log ends, as when the container exits; the next one has a line more
            engine.logged["core-1"].append(f"{stamp(10 + len(engine.logged['core-1']))} after a restart")
        return engine.read_log(client, name, **options)

    monkeypatch.setattr(containers, "read_log", read_log)
    monkeypatch.setattr(logs, "allow_session", lambda: allowed.append(None))
    reader = Reader(StackContainers(command_line.find()), ["core-1", "dump"], 0.0, None)
    lines = [text for _, _, text in itertools.islice(reader.lines(follow=True), 5)]
    assert lines == ["migrating", "serving é", *["after a restart"] * 3]
    # 12:00:03 is that of the last line that was shown.
    assert calls[2]["since_seconds"] == 1777636803, "Docker Engine does not send the whole log again"
    assert len(allowed) == 2, "one session for each part, however often it restarts"


@pytest.mark.parametrize(
    ("text", "moment"),
    [("10m", 400.0), ("1m30s", 910.0), ("60", 940.0), ("1970-01-01T00:02:00+00:00", 120.0)],
)
def test_since_is_a_duration_or_a_time(text: str, moment: float) -> None:
    assert moment_of(text, now=1000.0) == moment


@pytest.mark.parametrize("text", ["yesterday", "10 parsecs", "12:00"])
def test_another_since_is_refused_with_examples(text: str) -> None:
    with pytest.raises(CommandError, match="neither a duration such as 10m"):
        moment_of(text, now=0)


def test_an_unknown_part_is_refused_with_the_list(command_line: CommandLine) -> None:
    assert command_line.run("logs", "web") == 2
    assert "stack dev has no part web. Parts: lb, core-1" in command_line.error
