"""Offline images: which images are current, and that nothing unfinished is used."""

import dataclasses
import gzip
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import BuildError, ImageNotFound

from components.settings import images
from offline.images import base, builder, catalogue
from offline.images.__main__ import main
from offline.images.builder import LABEL, Builder
from offline.images.catalogue import CATALOGUE, Recipe, recipe_digest, select
from offline.images.machine import OfflineError, cache_folder

NGINX_TAG = "dhis2-cluster/nginx:1.31"


@dataclasses.dataclass
class FakeImage:
    """What the builder reads of an image."""

    id: str
    labels: dict[str, str]


class FakeDocker:
    """A Docker Engine that stores names and labels; `fail` makes its next build fail."""

    def __init__(self) -> None:
        self.images = self
        self.api = self
        self.base_url, self.api_version, self.timeout = "http+docker://test", "1.41", 60
        self.stored: dict[str, FakeImage] = {}
        self.built: list[str] = []
        self.nameless: list[FakeImage] = []
        self.fail = False

    def get(self, name: str, **request: Any) -> Any:  # noqa: ANN401 - two methods of the SDK in one
        if name.startswith(self.base_url):
            names = request["params"]["names"]
            return FakeAnswer("\n".join(f"{tag} {self.stored[tag].labels[LABEL]}" for tag in names))
        if name not in self.stored:
            raise ImageNotFound(name)
        return self.stored[name]

    def build(self, *, tag: str, labels: dict[str, str], path: str, **_: object) -> None:
        assert Path(path, "Dockerfile").exists(), "a build context needs its Dockerfile"
        if self.fail:
            raise BuildError("the command returned 100", iter([{"stream": "E: no such package"}]))
        self.built.append(tag)
        self.nameless += [self.stored[tag]] if tag in self.stored else []
        self.stored[tag] = FakeImage(f"id-{len(self.built)}", labels)

    def load(self, chunks: Iterator[bytes]) -> None:
        for line in b"".join(chunks).decode().splitlines():
            tag, digest = line.split()
            self.stored[tag] = FakeImage("loaded", {LABEL: digest})

    def list(self, filters: dict[str, object]) -> list[FakeImage]:
        label, _, value = str(filters["label"]).partition("=")
        return [image for image in self.nameless if image.labels.get(label) == value]

    def remove(self, name: str) -> None:
        self.nameless = [image for image in self.nameless if image.id != name]

    def import_image_from_data(self, _: object, repository: str, tag: str) -> None:
        self.stored[f"{repository}:{tag}"] = FakeImage("base", {})


class FakeAnswer(io.StringIO):
    """Docker Engine's answer to a request for saved images."""

    def raise_for_status(self) -> None:
        """Raise nothing."""

    def iter_content(self, _: int) -> Iterator[bytes]:
        yield self.getvalue().encode()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty machine cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_folder("images")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Recipe:
    """A recipe of two images in a folder the test may change, with a base that needs no network."""
    folder = tmp_path / "recipes" / "sample"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM base\n")
    tree = cache / "tree.tar"
    tree.touch()
    monkeypatch.setattr(catalogue, "RECIPES", folder.parent)
    monkeypatch.setattr(builder, "base_tarball", lambda _: tree)
    return Recipe(name="sample", image="sample", versions={"1": "one", "2": "two"})


@pytest.fixture
def docker_engine() -> FakeDocker:
    """A Docker Engine without images."""
    return FakeDocker()


def ensure(docker_engine: FakeDocker, recipe: Recipe, *tags: str) -> str:
    return Builder(docker_engine).ensure(recipe, tags or recipe.tags)  # type: ignore[arg-type]


def test_a_second_run_builds_nothing(docker_engine: FakeDocker, recipe: Recipe) -> None:
    assert [ensure(docker_engine, recipe), ensure(docker_engine, recipe)] == ["built", "cached"], (
        "the label shows that it is current"
    )
    assert docker_engine.built == recipe.tags, "each image is built once"


def test_only_the_named_image_is_built_and_the_others_are_added_later(
    docker_engine: FakeDocker, recipe: Recipe, cache: Path
) -> None:
    one, two = recipe.tags
    assert ensure(docker_engine, recipe, two) == "built"
    assert docker_engine.built == [two], "`make up` waits for no image that only tests need"
    assert ensure(docker_engine, recipe) == "built"
    assert docker_engine.built == [two, one], "what is current is not built again"
    docker_engine.stored.clear()
    assert ensure(docker_engine, recipe) == "loaded", "both are in the cache"
    assert len(list(cache.glob("sample-*.tar.gz"))) == 1, "in one file, which holds shared layers once"


def test_an_emptied_docker_engine_is_filled_from_the_cache(docker_engine: FakeDocker, recipe: Recipe) -> None:
    ensure(docker_engine, recipe)
    docker_engine.stored.clear()
    assert ensure(docker_engine, recipe) == "loaded", "no network is needed to get the images back"
    assert set(docker_engine.stored) == set(recipe.tags), "all images of the recipe come back, the base is not needed"


def test_images_that_were_never_saved_are_saved_when_found(
    docker_engine: FakeDocker, recipe: Recipe, cache: Path
) -> None:
    ensure(docker_engine, recipe)
    for path in cache.glob("*.gz"):
        path.unlink()
    assert ensure(docker_engine, recipe) == "cached"
    assert list(cache.glob("sample-*.tar.gz")), "an emptied Docker Engine needs the tarball"


def test_what_a_killed_run_left_in_the_cache_is_removed(docker_engine: FakeDocker, recipe: Recipe, cache: Path) -> None:
    (cache / "sample-0123.tar.gz.77.part").touch()
    (cache_folder("build") / "sample").mkdir()
    (cache_folder("build") / "sample" / "Dockerfile.old").touch()
    ensure(docker_engine, recipe)
    assert not list(cache.glob("*.part")), "it would stay forever"
    assert not list(cache_folder("build").iterdir()), "neither old nor new build contexts stay"


def test_a_damaged_tarball_is_removed_and_the_image_built(
    docker_engine: FakeDocker, recipe: Recipe, cache: Path
) -> None:
    ensure(docker_engine, recipe)
    tarball = next(cache.glob("sample-*.tar.gz"))
    tarball.write_bytes(tarball.read_bytes()[:-10])
    docker_engine.stored.clear()
    assert ensure(docker_engine, recipe) == "built", "half an archive is no image"
    assert gzip.decompress(tarball.read_bytes()), "a whole tarball replaces it"


def test_a_tarball_with_other_contents_does_not_count(docker_engine: FakeDocker, recipe: Recipe, cache: Path) -> None:
    other = "\n".join(f"{tag} 0123" for tag in recipe.tags)
    (cache / f"sample-{recipe_digest(recipe)}.tar.gz").write_bytes(gzip.compress(other.encode()))
    assert ensure(docker_engine, recipe) == "built", "only the label of what was loaded proves what it is"


def test_a_changed_dockerfile_is_built_again(docker_engine: FakeDocker, recipe: Recipe) -> None:
    ensure(docker_engine, recipe)
    (recipe.folder / "Dockerfile").write_text("FROM base\nRUN true\n")
    assert ensure(docker_engine, recipe) == "built", "the package list is in the Dockerfile"
    assert not docker_engine.nameless, "the images it replaces must not fill the disk"


def test_a_failed_build_leaves_nothing_and_shows_its_last_lines(
    docker_engine: FakeDocker, recipe: Recipe, cache: Path
) -> None:
    docker_engine.fail = True
    with pytest.raises(OfflineError, match="sample:1 could not be built:\nE: no such package"):
        ensure(docker_engine, recipe)
    assert not list(cache.glob("sample-*")), "nothing unfinished may look like an image"
    docker_engine.fail = False
    assert ensure(docker_engine, recipe) == "built", "the next run succeeds"


@pytest.mark.parametrize("change", ["pin", "tag", "version", "base", "source", "new file", "moved text"])
def test_whatever_goes_into_an_image_is_in_its_hash(
    change: str, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "webapp"
    source.mkdir()
    (source / "page").write_text("one")
    recipe = dataclasses.replace(recipe, pins=("1.0",), sources=(source,))
    before = recipe_digest(recipe)
    assert recipe_digest(recipe) == before, "the same contents have the same hash"
    match change:
        case "pin":
            recipe = dataclasses.replace(recipe, pins=("1.1",))
        case "tag":
            recipe = dataclasses.replace(recipe, versions={"1": "one", "3": "two"})
        case "version":
            recipe = dataclasses.replace(recipe, versions={"1": "one", "2": "zwei"})
        case "base":
            monkeypatch.setattr(base, "OPTIONS", (*base.OPTIONS, "--include=more"))
        case "source":
            (source / "page").write_text("two")
        case "new file":
            (recipe.folder / "nginx.conf").touch()
        case "moved text":
            recipe = dataclasses.replace(recipe, pins=("1", ".0"))
    assert recipe_digest(recipe) != before, f"a changed {change} makes another image"


def test_build_leftovers_do_not_change_the_hash(recipe: Recipe) -> None:
    before = recipe_digest(recipe)
    (recipe.folder / "target").mkdir()
    (recipe.folder / "target" / "ROOT.war").touch()
    assert recipe_digest(recipe) == before, "a build in the checkout is no reason to build the image"


def test_every_recipe_has_a_dockerfile_that_hadolint_accepts() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    for one in CATALOGUE:
        checked = subprocess.run([hadolint, one.folder / "Dockerfile"], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout


def test_images_are_found_by_recipe_image_and_full_name() -> None:
    simulator = next(one for one in CATALOGUE if one.name == "simulator")
    assert select(["simulator"]) == select(["dhis2-simulator"]) == {"simulator": simulator.tags}
    tag = "dhis2-cluster/dhis2-simulator:2.42.5"
    assert select([tag, NGINX_TAG]) == {"nginx": [NGINX_TAG], "simulator": [tag]}, "a full name selects one image"
    assert select([]) == {one.name: one.tags for one in CATALOGUE}, "no name selects all"


def test_an_unknown_image_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["oracle"]) == 1
    error = capsys.readouterr().err
    assert "nothing here builds oracle. Known images: dhis2-cluster/postgres:17, dhis2-cluster/valkey:8" in error


def test_lego_is_the_version_of_the_official_image() -> None:
    pins = (next(recipe.folder for recipe in CATALOGUE if recipe.name == "lego") / "go.mod").read_text()
    (version,) = re.findall(r"go-acme/lego/v4 (v\S+)", pins)
    assert images.ACME.partition("@")[0] == f"goacme/lego:{version}", "what is tested here is what others pull"


def test_the_images_carry_the_names_the_program_asks_for() -> None:
    tags = [tag for one in CATALOGUE for tag in one.tags]
    assert tags == [
        "dhis2-cluster/postgres:17",
        "dhis2-cluster/valkey:8",
        NGINX_TAG,
        "dhis2-cluster/lego:4",
        "dhis2-cluster/restic:0.18",
        "dhis2-cluster/rclone:1",
        *(f"dhis2-cluster/dhis2-simulator:{version}" for version in ("2.41.4", "2.42.5", "2.43.1")),
    ], "stack files name them"
