"""The images, what they are built from, and the content hash by which a current one is recognised."""

import hashlib
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from offline.images import artefacts, base
from offline.images.machine import OfflineError

REPOSITORY = "dhis2-cluster"
RECIPES = Path(__file__).parent / "recipes"
DIGEST_LENGTH = 16
NOT_SOURCES = {"target", "__pycache__", ".pytest_cache", "README.md"}


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

    def version(self, tag: str) -> str:
        """Return the VERSION build argument of an image, by its full name."""
        return self.versions[tag.rpartition(":")[2]]


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
    Recipe(name="lego", image="lego", versions={"4": ""}, fetch=(artefacts.put_lego,)),
    Recipe(
        name="restic",
        image="restic",
        versions={"0.18": ""},
        sources=(artefacts.SUPERCRONIC,),
        fetch=(artefacts.put_supercronic,),
    ),
    Recipe(name="rclone", image="rclone", versions={"1": ""}),
    Recipe(
        name="simulator",
        image="dhis2-simulator",
        versions={version: version for version in ("2.41.4", "2.42.5", "2.43.1")},
        pins=(artefacts.TOMCAT, artefacts.TOMCAT_SHA256),
        sources=(artefacts.SIMULATOR,),
        fetch=(artefacts.put_tomcat, artefacts.put_simulator),
    ),
)


def select(names: Sequence[str]) -> dict[str, list[str]]:
    """Return the images called `names` (recipe, image or full image name) by recipe; all for no name.

    Raises OfflineError for a name that no image has.
    """
    known = {name for recipe in CATALOGUE for name in (recipe.name, recipe.image, *recipe.tags)}
    unknown = sorted(set(names) - known)
    if unknown:
        listed = ", ".join(tag for recipe in CATALOGUE for tag in recipe.tags)
        raise OfflineError(f"images: nothing here builds {', '.join(unknown)}. Known images: {listed}")
    selected = {
        recipe.name: [tag for tag in recipe.tags if not names or {recipe.name, recipe.image, tag}.intersection(names)]
        for recipe in CATALOGUE
    }
    return {name: tags for name, tags in selected.items() if tags}


def base_digest() -> str:
    """Return the content hash of the base all images are built on."""
    return digest([base.SUITE, *base.OPTIONS, platform.machine()])


def recipe_digest(recipe: Recipe) -> str:
    """Return the content hash of a recipe: base, pins, tags, and every file that the images are built from."""
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
