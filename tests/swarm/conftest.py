"""Fixtures of the swarm tier."""

from collections.abc import Iterator

import pytest

from offline.images.catalogue import CATALOGUE
from tests.swarm.lab import Swarm

IMAGES = [tag for recipe in CATALOGUE for tag in recipe.tags]


@pytest.fixture(scope="session")
def swarm() -> Iterator[Swarm]:
    """Return a swarm of three nodes, one of them the manager, with the images that are built here.

    A test that switches a node off or drains it calls `swarm.restore()` at its end.
    """
    with Swarm(nodes=3, managers=1, images=IMAGES) as swarm:
        yield swarm


@pytest.fixture(scope="module")
def managers() -> Iterator[Swarm]:
    """Return a swarm of three managers, one of which can be lost."""
    with Swarm(nodes=3, managers=3, images=IMAGES) as swarm:
        yield swarm
