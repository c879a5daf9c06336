"""Fixtures of the container tier."""

import pytest

from tests.container.databases import Databases
from tests.support.containers import Containers
from tests.support.fixtures import containers

__all__ = ["containers"]


@pytest.fixture(scope="module")
def databases(containers: Containers) -> Databases:
    """Return what starts primaries and replicas that share an empty volume of dumps."""
    return Databases(containers, containers.volume("dumps"))
