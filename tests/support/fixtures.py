"""Fixtures that several tiers share; a conftest.py imports what its tests use."""

from collections.abc import Iterator

import pytest

from tests.support.containers import Containers


@pytest.fixture(scope="module")
def containers() -> Iterator[Containers]:
    """Containers of the tests of one file, removed at its end."""
    with Containers() as containers:
        yield containers
