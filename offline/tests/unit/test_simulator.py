"""The simulator's build: everything pinned, nothing in the web application that Tomcat brings or only tests need."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from offline.images.artefacts import SIMULATOR
from offline.images.catalogue import CATALOGUE

NAMESPACE = {"m": "http://maven.apache.org/POM/4.0.0"}
VERSION = re.compile(r"\d+(\.\d+)*(\.[A-Za-z]+|-[a-z]+\d*)?")
MOST_LINES = 250
LIFECYCLE = {"resources", "compiler", "surefire", "war"}  # the plugins `package` of a war runs


def pom() -> ElementTree.Element:
    return ElementTree.parse(SIMULATOR / "pom.xml").getroot()  # noqa: S314 - our own file


def text(element: ElementTree.Element, name: str) -> str:
    """Return the text of a child, properties put in; empty where there is none."""
    content = element.findtext(f"m:{name}", "", NAMESPACE)
    return re.sub(r"\$\{(.+?)\}", lambda match: pom().findtext(f"m:properties/m:{match[1]}", "", NAMESPACE), content)


def parts() -> Iterator[tuple[str, ElementTree.Element]]:
    """Yield name and element of every dependency and plugin."""
    for path in (".//m:dependency", ".//m:plugin"):
        for element in pom().iterfind(path, NAMESPACE):
            yield text(element, "artifactId"), element


def sources() -> list[Path]:
    return sorted((SIMULATOR / "src" / "main" / "java").rglob("*.java"))


@pytest.mark.parametrize(("name", "element"), [pytest.param(*one, id=one[0]) for one in parts()])
def test_every_dependency_and_plugin_is_pinned(name: str, element: ElementTree.Element) -> None:
    version = text(element, "version")
    assert VERSION.fullmatch(version), f"{name} has version '{version}': a build of tomorrow must be that of today"
    assert "SNAPSHOT" not in version, f"{name} changes without its version changing"


def test_every_plugin_of_the_lifecycle_is_named() -> None:
    named = {name.split("-")[1] for name, _ in parts() if name.startswith("maven-")}
    assert named >= LIFECYCLE, "Maven picks versions of its own for plugins that are not named"


def test_the_web_application_carries_neither_tomcat_nor_tests() -> None:
    scopes = {name: text(element, "scope") for name, element in parts()}
    assert scopes["jakarta.servlet-api"] == "provided", "a second copy of the API breaks every request"
    assert {name: scope for name, scope in scopes.items() if "junit" in name} == {"junit-jupiter": "test"}


def test_nothing_is_built_from_a_repository_of_its_own() -> None:
    assert not pom().findall(".//m:repository", NAMESPACE), "Maven Central is all the machine needs to reach"


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.stem)
def test_a_class_is_short_and_has_a_comment(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= MOST_LINES, "split it"
    first = next(
        index for index, line in enumerate(lines) if re.match(r"(public )?(final )?(class|record|enum|interface)", line)
    )
    described = any(line.startswith(("/**", " */")) for line in lines[max(0, first - 2) : first])
    assert described, "a reader learns from its first line what a class is for"


def test_every_page_says_that_it_is_not_dhis2() -> None:
    pages = list((SIMULATOR / "src" / "main" / "resources").glob("*.html"))
    assert len(pages) == 2, "login and home"
    for page in pages:
        assert "<strong>not DHIS2</strong>" in page.read_text(), f"{page.name} could be taken for the real one"


def test_the_simulator_knows_every_release_there_is_an_image_of() -> None:
    versions = next(recipe.versions for recipe in CATALOGUE if recipe.name == "simulator").values()
    release = re.compile(r"2\.\d+\.\d+")
    assert all(release.fullmatch(version) for version in versions), "another form stops its boot"


def test_no_log_line_has_a_password() -> None:
    for path in sources():
        calls = re.findall(r"LOG\.\w+\([^;]*;", path.read_text())
        assert not [call for call in calls if re.search(r"\bpassword\)|, password\b", call)], f"{path.name} logs it"
