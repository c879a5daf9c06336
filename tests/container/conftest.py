"""Fixtures of the container tier: what is started is removed at the end of each file."""

from collections.abc import Iterator

import pytest

from tests.container.databases import Engine
from tests.container.parts import Parts, parts


@pytest.fixture(scope="module")
def bench() -> Iterator[Parts]:
    """A network for the tests of one file."""
    with parts() as found:
        yield found


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """The Docker engine, for databases of one file."""
    made = Engine()
    yield made
    made.clear()
