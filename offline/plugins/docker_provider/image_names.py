"""Names of images as Docker's client writes them into a service: with a tag, and with the registry's digest."""

import re

HOSTS = ("docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/")
IDENTIFIER = re.compile(r"[0-9a-f]{64}")


def tagged(image: str) -> str:
    """Return the familiar name of an image with its tag, `latest` when none is written; a bare id stays as it is."""
    if IDENTIFIER.fullmatch(image):
        return image
    name, at, digest = image.partition("@")
    name = next((name.removeprefix(host) for host in HOSTS if name.startswith(host)), name)
    if not at and ":" not in name.rsplit("/", 1)[-1]:
        name = f"{name}:latest"
    return f"{name}{at}{digest}"


def with_digest(image: str, digest: str) -> str:
    """Return the name of an image pinned to a digest; one that is pinned stays as it is."""
    return image if "@" in image else f"{tagged(image)}@{digest}"
