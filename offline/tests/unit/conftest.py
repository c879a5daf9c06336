"""Fixtures of offline's unit tests."""

from tests.support.program import run

__all__ = ["run"]
