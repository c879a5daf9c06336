"""Fixtures of the fake plugins' tests: projects with a PULUMI_HOME that holds the fake plugins of this checkout."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound

from components.settings.images import CACHE
from offline.tests.e2e.project import Project, create

# Any image with a shell and sleep would do.
IMAGES = ("dhis2-cluster/valkey:8", CACHE)


@pytest.fixture(scope="module")
def docker_engine() -> docker.DockerClient:
    """A client of Docker Engine."""
    return docker.from_env()


@pytest.fixture(scope="module")
def image(docker_engine: docker.DockerClient) -> str:
    """An image with a shell that Docker Engine has."""
    for name in IMAGES:
        try:
            docker_engine.images.get(name)
        except ImageNotFound:
            continue
        return name
    pytest.fail(f"Docker Engine has none of {', '.join(IMAGES)}. Fix: python -m offline.images valkey")


@pytest.fixture
def project(tmp_path: Path, docker_engine: docker.DockerClient, image: str) -> Iterator[Project]:
    """An empty project; the Docker objects that it leaves are removed."""
    created = create(tmp_path, docker_engine, image)
    yield created
    created.remove_objects()
