"""What all tiers share: the `scenario` marker, and durations that tests measure."""

from tests.support.durations import pytest_terminal_summary, took
from tests.support.scenario import pytest_runtest_makereport, pytest_runtest_setup

__all__ = ["pytest_runtest_makereport", "pytest_runtest_setup", "pytest_terminal_summary", "took"]
