"""A stack whose images have tag and digest: Docker Engine pulls by the digest, and nothing changes in the next `up`."""

from collections.abc import Iterator

import pytest
from docker import DockerClient

from tests.e2e.conftest import MakeStack
from tests.support.project import VALKEY
from tests.support.registry import Published, registry
from tests.support.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.simulator]


@pytest.fixture(scope="module")
def published(docker_client: DockerClient) -> Iterator[Published]:
    """The image of the cache in a registry, and not under that name on Docker Engine."""
    with registry(docker_client, VALKEY) as image:
        yield image


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, published: Published) -> Stack:
    """Deploy a core whose cache has an image with tag and digest."""
    stack = make_stack(cores=1, replicas=0, dumpUrl="none", cacheImage=published.pinned)
    stack.up()
    return stack


def test_up_pulls_the_image_of_the_digest(stack: Stack, published: Published) -> None:
    used = stack.docker.images.get(str(stack.container("cache").attrs["Image"]))
    assert f"{published.tagged.rpartition(':')[0]}@{published.digest}" in used.attrs["RepoDigests"]


def test_a_second_up_and_a_refresh_change_nothing(stack: Stack) -> None:
    assert stack.changes() == {}
    done = stack.pulumi("preview", "--refresh", "--expect-no-changes", "--stack", stack.name)
    assert done.code == 0, done.text


def test_the_same_image_by_its_tag_replaces_no_container(stack: Stack, published: Published) -> None:
    before = stack.containers()
    stack.docker.images.pull(published.tagged)
    stack.set(cacheImage=published.tagged)
    stack.up()
    assert stack.containers() == before


def test_a_digest_that_no_image_has_is_refused_before_anything_changes(stack: Stack, published: Published) -> None:
    before = stack.containers()
    stack.set(cacheImage=f"{published.tagged}@sha256:{'0' * 64}")
    text = stack.failing_up()
    assert f"; the host has {published.tagged} without this digest" in text
    assert stack.containers() == before
