"""How long things take: measured by tests, printed at the end of a run, and never asserted."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

PREFIX = "duration: "
Took = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def took(record_property: Callable[[str, object], None]) -> Took:
    """Return a context manager that records how long its body takes, with what this is the duration of."""

    @contextmanager
    def measure(what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        record_property(f"{PREFIX}{what}", f"{time.monotonic() - began:.1f} s")

    return measure


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests that passed have recorded."""
    lines = [
        f"{value!s:>8}  {name.removeprefix(PREFIX)}  ({report.nodeid})"
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name.startswith(PREFIX)
    ]
    if lines:
        terminalreporter.section("durations after faults")
        for line in lines:
            terminalreporter.write_line(line)
