"""Fixtures of offline's unit tests."""

from tests.unit.program import run

__all__ = ["run"]
