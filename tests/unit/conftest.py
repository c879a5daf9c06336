"""Fixtures of the unit tier."""

from tests.unit.program import run

__all__ = ["run"]
