"""What all tiers share: the `scenario` marker."""

from tests.support.scenario import pytest_runtest_makereport, pytest_runtest_setup

__all__ = ["pytest_runtest_makereport", "pytest_runtest_setup"]
