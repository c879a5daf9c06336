"""Make the images of a recipe present on Docker Engine: found there, loaded from the cache, or built."""

import gzip
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound
from docker.models.images import Image

from offline.images.base import base_tarball
from offline.images.catalogue import REPOSITORY, Recipe, base_digest, recipe_digest
from offline.images.machine import TAIL_LINES, OfflineError, cache_folder, keep_newest, locked, unfinished

LABEL = "dhis2-cluster.content"
RECIPE_LABEL = "dhis2-cluster.recipe"
CHUNK_BYTES = 1 << 20
PROXY_VARIABLES = (
    "http_proxy",
    "https_proxy",
    "no_proxy",
)  # build arguments that Docker Engine knows and does not record


@dataclass(frozen=True)
class Builder:
    """Builds on one Docker Engine, through its API: the classic builder needs neither buildx nor the docker command."""

    client: docker.DockerClient

    def ensure(self, recipe: Recipe, tags: Sequence[str]) -> str:
        """Make images of a recipe present and current; returns how: `cached`, `loaded` or `built`."""
        digest = recipe_digest(recipe)
        tarball = cache_folder("images") / f"{recipe.name}-{digest}.tar.gz"
        with locked(f"image-{recipe.name}"):
            for left in tarball.parent.glob(f"{recipe.name}-*.part"):
                left.unlink()
            if self.all_current(tags, digest):
                if not tarball.exists():
                    self.save(recipe, tarball, digest)
                return "cached"
            if tarball.exists():
                self.load(tarball)
            how = "loaded" if self.all_current(tags, digest) else "built"
            if how == "built":
                self.build(recipe, [tag for tag in tags if not self.is_current(tag, digest)], digest)
                self.save(recipe, tarball, digest)
            self.discard_nameless(recipe)
            return how

    def find(self, tag: str) -> Image | None:
        """Return Docker Engine's image of that name, None when it has none."""
        try:
            return self.client.images.get(tag)
        except ImageNotFound:
            return None

    def is_current(self, tag: str, digest: str) -> bool:
        """Return whether an image exists and was built from exactly these contents."""
        image = self.find(tag)
        return image is not None and image.labels.get(LABEL) == digest

    def all_current(self, tags: Sequence[str], digest: str) -> bool:
        """Return whether all of these images exist and were built from exactly these contents."""
        return all(self.is_current(tag, digest) for tag in tags)

    def load(self, tarball: Path) -> None:
        """Load saved images; a damaged tarball is removed, so that a build follows."""
        try:
            with gzip.open(tarball) as unpacked:
                self.client.images.load(iter(lambda: unpacked.read(CHUNK_BYTES), b""))  # type: ignore[arg-type]
        except (OSError, EOFError, DockerException):
            tarball.unlink(missing_ok=True)

    def save(self, recipe: Recipe, tarball: Path, digest: str) -> None:
        """Save the current images of a recipe, shared layers once: an empty Docker Engine is filled from there."""
        tags = [tag for tag in recipe.tags if self.is_current(tag, digest)]
        with unfinished(tarball) as part, gzip.open(part, "wb", compresslevel=1) as packed:
            for chunk in saved(self.client, tags):
                packed.write(chunk)
        keep_newest(tarball.parent, f"{recipe.name}-*.tar.gz")

    def build(self, recipe: Recipe, tags: Sequence[str], digest: str) -> None:
        """Build images of a recipe. Docker Engine names an image only when its last step is done."""
        proxies = {name: os.environ[name] for name in PROXY_VARIABLES if name in os.environ}
        context = cache_folder("build") / recipe.name
        # Always the same folder, so that what a killed build left is found and removed.
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(recipe.folder, context)
        for fetch in recipe.fetch:
            fetch(context)
        base = self.ensure_base()
        for tag in tags:
            version = recipe.version(tag)
            arguments = {"BASE": base, **({"VERSION": version} if version else {}), **proxies}
            self.build_one(tag, context, arguments, {LABEL: digest, RECIPE_LABEL: recipe.name})
        shutil.rmtree(context)

    def build_one(self, tag: str, context: Path, arguments: dict[str, str], labels: dict[str, str]) -> None:
        """Build one image from a prepared context; raises OfflineError with the last lines of the build."""
        try:
            self.client.images.build(
                path=str(context),
                tag=tag,
                buildargs=arguments,
                labels=labels,
                network_mode="host",  # the machine reaches the mirror; a container bridge need not
                rm=True,
                forcerm=True,
            )
        except BuildError as error:
            lines = [str(entry.get("stream") or entry.get("error") or "").rstrip() for entry in error.build_log]
            tail = "\n".join([line for line in lines if line][-TAIL_LINES:])
            raise OfflineError(f"images: {tag} could not be built:\n{tail}") from error

    def ensure_base(self) -> str:
        """Import the base into Docker Engine unless it is there; returns its name."""
        wanted = base_digest()
        name = f"{REPOSITORY}/base:{wanted}"
        if not self.find(name):
            with base_tarball(wanted).open("rb") as tree:
                self.client.api.import_image_from_data(tree, repository=f"{REPOSITORY}/base", tag=wanted)
        if not self.find(name):
            raise OfflineError(f"images: Docker Engine did not keep {name}. Is its disk full? See: docker system df")
        return name

    def discard_nameless(self, recipe: Recipe) -> None:
        """Remove images of the recipe that lost their name to a newer one, as far as nothing uses them."""
        for image in self.client.images.list(filters={"dangling": True, "label": f"{RECIPE_LABEL}={recipe.name}"}):
            with suppress(APIError):
                self.client.images.remove(image.id)


def saved(client: docker.DockerClient, tags: list[str]) -> Iterator[bytes]:
    """Yield one tar stream with all the named images (the SDK's own method takes a single image)."""
    api = client.api
    address = f"{api.base_url}/v{api.api_version}/images/get"
    with api.get(address, params={"names": tags}, stream=True, timeout=api.timeout) as answer:
        answer.raise_for_status()
        yield from answer.iter_content(CHUNK_BYTES)
