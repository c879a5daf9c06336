"""Images with tag and digest: preflight and Docker Engine take the one of the digest."""

from collections.abc import Iterator

import docker
import pytest
from docker.errors import APIError, NotFound

from components.orchestrator.engine_info import unavailable_images
from tests.support.project import NGINX
from tests.support.registry import Published, registry

pytestmark = pytest.mark.container

OTHER = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def client() -> docker.DockerClient:
    """A client of Docker Engine."""
    return docker.from_env(timeout=120)


@pytest.fixture
def published(client: docker.DockerClient) -> Iterator[Published]:
    """An image in a registry."""
    with registry(client, NGINX) as image:
        yield image


def test_an_image_that_can_be_pulled_by_its_digest_passes_preflight(
    client: docker.DockerClient, published: Published
) -> None:
    assert unavailable_images(client, [published.pinned], "amd64") == {}
    client.images.pull(published.pinned)
    assert unavailable_images(client, [published.pinned]) == {}
    assert (
        f"{published.tagged.rpartition(':')[0]}@{published.digest}"
        in client.images.get(published.pinned).attrs["RepoDigests"]
    )


def test_the_digest_decides_where_the_tag_has_another_image(client: docker.DockerClient, published: Published) -> None:
    client.images.pull(published.tagged)
    wanted = f"{published.tagged}@{OTHER}"
    with pytest.raises((APIError, NotFound)):
        client.images.pull(wanted)
    (reason,) = unavailable_images(client, [wanted]).values()
    assert f"; the host has {published.tagged} without this digest" in reason, "it can be set without the digest"
