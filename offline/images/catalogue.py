"""Which images there are, what goes into each, and the content hash that says whether a built one is still right."""

import hashlib
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from offline.images import artefacts, base
from offline.images.machine import OfflineError

REPOSITORY = "dhis2-cluster"
RECIPES = Path(__file__).parent / "recipes"
DIGEST_LENGTH = 16
NOT_SOURCES = {"target", "__pycache__", ".pytest_cache"}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One Dockerfile and the images made from it.

    `versions` maps each tag to the VERSION build argument, empty where the Dockerfile takes none. `pins` are versions
    and hashes of what `fetch` puts into the build context; `sources` are files of the checkout it reads.
    """

    name: str
    image: str
    versions: dict[str, str]
    pins: tuple[str, ...] = ()
    sources: tuple[Path, ...] = ()
    fetch: tuple[Callable[[Path], None], ...] = ()

    @property
    def folder(self) -> Path:
        """The Dockerfile and the files it copies."""
        return RECIPES / self.name

    @property
    def tags(self) -> list[str]:
        """Full names of the images."""
        return [f"{REPOSITORY}/{self.image}:{tag}" for tag in self.versions]


CATALOGUE = (
    Recipe(name="postgres", image="postgres", versions={"17": ""}),
    Recipe(name="valkey", image="valkey", versions={"8": ""}),
    Recipe(
        name="nginx",
        image="nginx",
        versions={"1.31": ""},
        pins=(artefacts.NGINX, *artefacts.NGINX_SHA256.values()),
        fetch=(artefacts.put_nginx,),
    ),
    Recipe(
        name="simulator",
        image="dhis2-simulator",
        versions={version: version for version in ("2.41.4", "2.42.5", "2.43.1")},
        pins=(artefacts.TOMCAT, artefacts.TOMCAT_SHA256),
        sources=(artefacts.SIMULATOR,),
        fetch=(artefacts.put_tomcat, artefacts.put_simulator),
    ),
)


def select(names: list[str]) -> list[Recipe]:
    """Return the recipes called `names` (recipe, image or full image name), all of them for an empty list."""
    called = {recipe.name: {recipe.name, recipe.image, *recipe.tags} for recipe in CATALOGUE}
    unknown = set(names).difference(*called.values())
    if unknown:
        raise OfflineError(f"images: there is no {', '.join(sorted(unknown))}; known: {', '.join(called)}")
    return [recipe for recipe in CATALOGUE if not names or called[recipe.name].intersection(names)]


def base_digest() -> str:
    """Return the content hash of the base all images are built on."""
    return digest([base.SUITE, *base.OPTIONS, platform.machine()])


def recipe_digest(recipe: Recipe) -> str:
    """Return the content hash of a recipe: base, pins, tags, and every file that goes into the images."""
    texts = [base_digest(), *recipe.pins, *recipe.tags, *recipe.versions.values()]
    return digest(texts, [*files(recipe.folder), *(file for source in recipe.sources for file in files(source))])


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (relative name, path) of every source file below a folder, in an order that does not depend on the disk."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not NOT_SOURCES.intersection(name.parts):
            yield name.as_posix(), path


def digest(texts: list[str], contents: list[tuple[str, Path]] | None = None) -> str:
    """Return one hash over texts and named files; each part is length-prefixed so that no two lists collide."""
    total = hashlib.sha256()
    parts = [text.encode() for text in texts]
    for name, path in contents or []:
        parts += [name.encode(), path.read_bytes()]
    for part in parts:
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()[:DIGEST_LENGTH]
