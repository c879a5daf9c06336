"""Fixtures of the tests of `dhis2-cluster`."""

from tests.unit.cli.engine import command_line

__all__ = ["command_line"]
