"""The analytics job after a restore, as `up` asks for it and reports it."""

import pulumi
import pytest

from components.database.analytics import SCRIPT
from tests.support.program import FakeEngine, FakeWatcher, Recorded, Run

JOB = "aB3dE6gH9jK"


@pytest.fixture(autouse=True)
def infos(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is logged for information."""
    logged: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lambda text, *_, **__: logged.append(text))
    return logged


def restored(marker: str, answer: tuple[int, str] = (0, JOB), admin_has: str = "") -> FakeWatcher:
    """Return the Docker Engine of a stack whose primary's marker has these lines."""
    return FakeWatcher(engine=FakeEngine(printed=marker, analytics=answer, admin_has=admin_has))


def asked(recorded: Recorded) -> list[list[str]]:
    """Return the arguments that analytics.sh was run with."""
    return [list(command[2:]) for command in recorded.watcher.engine.executed if SCRIPT in command]


@pytest.mark.parametrize(
    ("settings", "password"),
    [({}, "default"), ({"adminPassword": "Correct-Horse-7"}, "setting"), ({"bind": "0.0.0.0"}, "generated")],  # noqa: S104
)
def test_the_job_is_asked_for_after_a_restore_with_the_password_of_admin(
    run: Run, infos: list[str], settings: dict[str, object], password: str
) -> None:
    recorded = run(watcher=restored("analytics=due\n"), **settings)
    assert asked(recorded) == [["start", "core-1", "8080", password]]
    (info,) = [text for text in infos if "analytics" in text]
    assert JOB in info and "dhis2-cluster status -s test" in info
    assert recorded.warnings == []


@pytest.mark.parametrize(
    "marker", ["", "analytics=\n", "analytics=done\n", "analytics=running\n", "analytics=failed\n"]
)
def test_no_job_is_asked_for_that_is_not_due(run: Run, marker: str) -> None:
    assert asked(run(watcher=restored(marker))) == []


def test_the_setting_turns_it_off(run: Run) -> None:
    recorded = run(watcher=restored("analytics=failed\n"), analytics="false")
    assert recorded.warnings == []
    assert asked(run(watcher=restored("analytics=due\n"), analytics="false")) == []


def test_a_preview_asks_for_no_job(run: Run) -> None:
    assert asked(run(watcher=restored("analytics=due\n"), preview=True)) == []


def test_a_job_that_is_under_way_is_reported(run: Run, infos: list[str]) -> None:
    run(watcher=restored("analytics=running\n"))
    assert [text for text in infos if "still builds the analytics tables" in text]


def test_a_job_that_failed_is_a_warning_with_the_reason_of_dhis2(run: Run) -> None:
    (warning,) = run(watcher=restored("analytics=failed\nanalytics_reason=a=b is wrong\n")).warnings
    assert "could not build the analytics tables, which dashboards read: a=b is wrong." in warning
    assert "To build them: dhis2-cluster analytics --wait -s test" in warning
    assert "pulumi config set analytics false" in warning


def test_a_job_that_dhis2_refuses_is_a_warning(run: Run) -> None:
    (warning,) = run(watcher=restored("analytics=due\n", (1, "Access is denied\n"))).warnings
    assert "did not begin to build the analytics tables, which dashboards read: Access is denied." in warning


def test_an_engine_that_does_not_answer_is_a_warning(run: Run) -> None:
    (warning,) = run(watcher=restored("analytics=due\n", (-1, ""))).warnings
    assert "no longer answers" in warning, "the cluster serves"


def test_without_the_password_of_admin_the_way_by_hand_is_named(run: Run) -> None:
    recorded = run(watcher=restored("analytics=due\n", admin_has="unknown"))
    (warning,) = recorded.warnings
    assert "does not know the password of DHIS2's user admin. To build them, in DHIS2: Data Administration" in warning
    assert asked(recorded) == []
