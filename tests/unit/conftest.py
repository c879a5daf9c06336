"""Fixtures of the unit tier."""

import json

import pytest

from tests.support.program import Recorded, Run, run

__all__ = ["run"]


@pytest.fixture(scope="session")
def runs() -> dict[str, Recorded]:
    """The runs that `built` has made, by their settings."""
    return {}


@pytest.fixture
def built(run: Run, runs: dict[str, Recorded]) -> Run:
    """As `run`, for tests that only read what was registered: one run serves all tests with the same settings."""

    def build(**settings: object) -> Recorded:
        key = json.dumps(settings, sort_keys=True, default=str)
        if key not in runs:
            runs[key] = run(**settings)
        return runs[key]

    return build
