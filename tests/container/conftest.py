"""Fixtures of the container tier: what a file starts is removed at its end."""

from collections.abc import Iterator

import pytest

from tests.support.containers import Containers


@pytest.fixture(scope="module")
def containers() -> Iterator[Containers]:
    """Containers of the tests of one file."""
    with Containers() as containers:
        yield containers
