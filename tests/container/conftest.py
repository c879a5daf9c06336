"""Fixtures of the container tier."""

from collections.abc import Iterator

import pytest

from tests.container.databases import Databases
from tests.container.dump_cache import DumpCache
from tests.support.containers import Containers
from tests.support.fixtures import containers

__all__ = ["containers"]


@pytest.fixture(scope="module")
def databases(containers: Containers) -> Databases:
    """Return what starts primaries and replicas that share an empty volume of dumps."""
    return Databases(containers, containers.volume("dumps"))


@pytest.fixture(scope="module")
def shared_dump_cache(containers: Containers) -> DumpCache:
    """Return the dump cache of a file's tests."""
    return DumpCache(containers)


@pytest.fixture
def cache(shared_dump_cache: DumpCache) -> Iterator[DumpCache]:
    """Return the dump cache of a file's tests, and remove the primaries that a test has started."""
    yield shared_dump_cache
    shared_dump_cache.remove_primaries()
