"""Make the images of a recipe present on the Docker engine: found there, loaded from the cache, or built."""

import gzip
import os
import shutil
from collections.abc import Iterator
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
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy")  # build arguments the engine knows and does not record


@dataclass(frozen=True)
class Builder:
    """Builds on one Docker engine, through its API: the classic builder needs neither buildx nor the docker command."""

    engine: docker.DockerClient

    def ensure(self, recipe: Recipe) -> str:
        """Make the images of a recipe present and right; returns how: `cached`, `loaded` or `built`."""
        wanted = recipe_digest(recipe)
        tarball = cache_folder("images") / f"{recipe.name}-{wanted}.tar.gz"
        with locked(f"image-{recipe.name}"):
            for left in tarball.parent.glob(f"{recipe.name}-*.part"):
                left.unlink()
            if self.is_right(recipe, wanted):
                if not tarball.exists():
                    self.save(recipe, tarball)
                return "cached"
            how = "loaded" if tarball.exists() and self.load(recipe, tarball, wanted) else "built"
            if how == "built":
                self.build(recipe, wanted)
                self.save(recipe, tarball)
            self.discard_nameless(recipe)
            return how

    def find(self, tag: str) -> Image | None:
        """Return the engine's image of that name, if there is one."""
        try:
            return self.engine.images.get(tag)
        except ImageNotFound:
            return None

    def is_right(self, recipe: Recipe, wanted: str) -> bool:
        """Say whether every image of the recipe exists and was made from exactly these contents."""
        found = [self.find(tag) for tag in recipe.tags]
        return all(image is not None and image.labels.get(LABEL) == wanted for image in found)

    def load(self, recipe: Recipe, tarball: Path, wanted: str) -> bool:
        """Load the saved images; a damaged tarball is removed and False returned, so that a build follows."""
        try:
            with gzip.open(tarball) as unpacked:
                self.engine.images.load(iter(lambda: unpacked.read(CHUNK_BYTES), b""))  # type: ignore[arg-type]
        except (OSError, EOFError, DockerException):
            tarball.unlink(missing_ok=True)
            return False
        return self.is_right(recipe, wanted)

    def save(self, recipe: Recipe, tarball: Path) -> None:
        """Save all images of a recipe, shared layers once, where a wiped engine is refilled from."""
        with unfinished(tarball) as part, gzip.open(part, "wb", compresslevel=1) as packed:
            for chunk in saved(self.engine, recipe.tags):
                packed.write(chunk)
        keep_newest(tarball.parent, f"{recipe.name}-*.tar.gz")

    def build(self, recipe: Recipe, wanted: str) -> None:
        """Build every tag of a recipe. The engine names an image only when its last step is done."""
        base = self.ensure_base()
        proxies = {name: os.environ[name] for name in PROXY_VARIABLES if name in os.environ}
        context = cache_folder("build") / recipe.name
        # Always the same folder, so that what a killed build left is found and removed.
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(recipe.folder, context)
        for fetch in recipe.fetch:
            fetch(context)
        for tag, version in zip(recipe.tags, recipe.versions.values(), strict=True):
            arguments = {"BASE": base, **({"VERSION": version} if version else {}), **proxies}
            self.build_one(tag, context, arguments, {LABEL: wanted, RECIPE_LABEL: recipe.name})
        shutil.rmtree(context)

    def build_one(self, tag: str, context: Path, arguments: dict[str, str], labels: dict[str, str]) -> None:
        """Build one image from a prepared context; raises OfflineError with the last lines of the build."""
        try:
            self.engine.images.build(
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
        """Import the base into the engine unless it is there; returns its name."""
        wanted = base_digest()
        name = f"{REPOSITORY}/base:{wanted}"
        if not self.find(name):
            with base_tarball(wanted).open("rb") as tree:
                self.engine.api.import_image_from_data(tree, repository=f"{REPOSITORY}/base", tag=wanted)
        if not self.find(name):
            raise OfflineError(f"images: the engine did not keep {name}. Is its disk full? See: docker system df")
        return name

    def discard_nameless(self, recipe: Recipe) -> None:
        """Remove images of the recipe that lost their name to a newer one, as far as nothing uses them."""
        for image in self.engine.images.list(filters={"dangling": True, "label": f"{RECIPE_LABEL}={recipe.name}"}):
            with suppress(APIError):
                self.engine.images.remove(image.id)


def saved(engine: docker.DockerClient, tags: list[str]) -> Iterator[bytes]:
    """Yield one tar stream with all the named images (the SDK's own method takes a single image)."""
    api = engine.api
    address = f"{api.base_url}/v{api.api_version}/images/get"
    with api.get(address, params={"names": tags}, stream=True, timeout=api.timeout) as answer:
        answer.raise_for_status()
        yield from answer.iter_content(CHUNK_BYTES)
