"""Fixtures of the container tier."""

from tests.support.fixtures import containers

__all__ = ["containers"]
