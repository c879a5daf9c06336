"""Fixtures of the stand-in tests: projects of their own that find the stand-ins of this checkout."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound

from components.dhis2.image_reference import CACHE_IMAGE
from offline.plugins.launchers import install
from tests.e2e.stand_ins.project import Project, make

# Any image with a shell and sleep would do.
IMAGES = ("dhis2-cluster/valkey:8", CACHE_IMAGE)


@pytest.fixture(scope="module")
def engine() -> docker.DockerClient:
    """The Docker engine."""
    return docker.from_env()


@pytest.fixture(scope="module")
def image(engine: docker.DockerClient) -> str:
    """An image with a shell that is on the engine."""
    for name in IMAGES:
        try:
            engine.images.get(name)
        except ImageNotFound:
            continue
        return name
    pytest.fail(f"none of {', '.join(IMAGES)} is on this engine; make one: python -m offline.images valkey")


@pytest.fixture(scope="module")
def executables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stand-ins' executables."""
    folder = tmp_path_factory.mktemp("stand-ins")
    install(folder)
    return folder


@pytest.fixture
def project(tmp_path: Path, engine: docker.DockerClient, image: str, executables: Path) -> Iterator[Project]:
    """An empty project; what it leaves on the engine is removed."""
    made = make(tmp_path, engine, image, executables)
    yield made
    made.remove()
