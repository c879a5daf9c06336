"""Version texts: what each names, and which are refused."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from components.dhis2.dump_url import local_path, redacted_url
from components.dhis2.image_reference import image_parts
from components.dhis2.release import DUMP_PATTERN, ReplicaSupport, resolve_release
from components.dhis2.version import ReleaseError

DIGEST = "sha256:" + "0123456789abcdef" * 4

# version text -> (version, image, folder of the dump)
GOOD = {
    "dev": ("dev", "dhis2/core-dev:latest", "dev"),
    "latest": ("dev", "dhis2/core-dev:latest", "dev"),
    "master": ("dev", "dhis2/core-dev:latest", "dev"),
    "DEV": ("dev", "dhis2/core-dev:latest", "dev"),
    "42\n": ("2.42", "dhis2/core:2.42", "2.42"),
    " latest ": ("dev", "dhis2/core-dev:latest", "dev"),
    "38": ("2.38", "dhis2/core:2.38", "2.38"),
    "40": ("2.40", "dhis2/core:2.40", "2.40"),
    "2.40": ("2.40", "dhis2/core:2.40", "2.40"),
    "42": ("2.42", "dhis2/core:2.42", "2.42"),
    "2.42": ("2.42", "dhis2/core:2.42", "2.42"),
    "v42": ("2.42", "dhis2/core:2.42", "2.42"),
    "V2.42": ("2.42", "dhis2/core:2.42", "2.42"),
    "43": ("2.43", "dhis2/core:2.43", "2.43"),
    "44": ("2.44", "dhis2/core:2.44", "2.44"),
    "99": ("2.99", "dhis2/core:2.99", "2.99"),
    "42.3": ("2.42.3", "dhis2/core:2.42.3", "2.42.3"),
    "2.42.3": ("2.42.3", "dhis2/core:2.42.3", "2.42.3"),
    "42.0": ("2.42.0", "dhis2/core:2.42.0", "2.42.0"),
    "42.3.1": ("2.42.3.1", "dhis2/core:2.42.3.1", "2.42.3"),
    "2.42.3.1": ("2.42.3.1", "dhis2/core:2.42.3.1", "2.42.3"),
    "v2.42.3.1": ("2.42.3.1", "dhis2/core:2.42.3.1", "2.42.3"),
    "2.38.5": ("2.38.5", "dhis2/core:2.38.5", "2.38.5"),
    "38.5": ("2.38.5", "dhis2/core:2.38.5", "2.38.5"),
    "2.38.4.1": ("2.38.4.1", "dhis2/core:2.38.4.1", "2.38.4"),
    "2.40.12.0": ("2.40.12.0", "dhis2/core:2.40.12.0", "2.40.12"),
    "41.9.1": ("2.41.9.1", "dhis2/core:2.41.9.1", "2.41.9"),
    "43.1.0": ("2.43.1.0", "dhis2/core:2.43.1.0", "2.43.1"),
    "2.42.3-rc": ("2.42.3-rc", "dhis2/core:2.42.3-rc", "2.42"),
    "42.3.0-RC": ("2.42.3.0-rc", "dhis2/core:2.42.3.0-rc", "2.42"),
    "2.39.1-rc2": ("2.39.1-rc2", "dhis2/core:2.39.1-rc2", "2.39"),
    "40.1.0-20231109T170534Z": ("40.1.0-20231109T170534Z", "dhis2/core:40.1.0-20231109T170534Z", "2.40.1"),
    "40.1.0-20231109t170534z": ("40.1.0-20231109T170534Z", "dhis2/core:40.1.0-20231109T170534Z", "2.40.1"),
}
# version text -> a word of the reason
BAD = {
    "": "empty",
    "   ": "empty",
    "2": "line",
    "2.": "not a DHIS2 version",
    "1.5": "older",
    "2.37": "older",
    "37": "older",
    "2.37.9": "older",
    "2.38.1.1": "older",
    "38.0": "older",
    "2.3": "older",
    "2.4": "quotes",
    "3.42": "older",
    "0": "older",
    "43-": "not a DHIS2 version",
    "latest-1": "not a DHIS2 version",
    "2.42.x": "not a DHIS2 version",
    "2.42.3.1.2": "not a DHIS2 version",
    "42.3.1.2": "more parts",
    "100": "no DHIS2 release line",
    "2.042": "leading zero",
    "42.03": "leading zero",
    "-42": "not a DHIS2 version",
    "42,3": "not a DHIS2 version",
    "42 .3": "not a DHIS2 version",
    "stable": "not a DHIS2 version",
    "2.44-SNAPSHOT": "not a DHIS2 version",
    "४२": "not a DHIS2 version",
    "dhis2/core:2.42": "not a DHIS2 version",
    "42\n43": "not a DHIS2 version",
}


@pytest.mark.parametrize(("text", "expected"), GOOD.items())
def test_a_version_names_its_image_and_its_dump(text: str, expected: tuple[str, str, str]) -> None:
    release = resolve_release(text)
    version, image, folder = expected
    assert (release.version, release.image) == (version, image), "the tag must be one DHIS2 publishes"
    assert release.dump_url == DUMP_PATTERN.format(folder), "the dump must be migratable by that image"


@pytest.mark.parametrize(("text", "reason"), BAD.items())
def test_a_text_that_names_no_release_is_refused_with_the_reason_and_a_command(text: str, reason: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        resolve_release(text)
    assert reason in str(caught.value), "the person must learn what is wrong with the text"
    command = caught.value.command
    assert command.startswith("pulumi config set version "), "and how to mend it"
    assert resolve_release(command.rpartition(" ")[2]), "the command must lead to a version that works"


# what -> image, version it tells, folder of the dump
IMAGES = {
    "the seed's development line": ("dhis2/core-dev:2.40", "2.40", "2.40"),
    "newest development": ("dhis2/core-dev:latest", "dev", "dev"),
    "release": ("dhis2/core:42.5.2", "2.42.5.2", "2.42.5"),
    "release pinned by digest too": (f"dhis2/core:2.41.4@{DIGEST}", "2.41.4", "2.41.4"),
    "registry with a port": ("localhost:5000/dhis2/core:2.41.4", "2.41.4", "2.41.4"),
    "registry with a port and digest": (f"registry.example.org:5000/a/b:43.1.0@{DIGEST}", "2.43.1.0", "2.43.1"),
    "daily build of master": ("dhis2/core-canary:latest-20230124", "dev", "dev"),
    "daily build of a line": ("dhis2/core-canary:2.41-20230124", "2.41", "2.41"),
    "the simulator": ("dhis2-cluster/dhis2-simulator:2.43.1", "2.43.1", "2.43.1"),
    "a digest alone": (f"dhis2/core@{DIGEST}", "2.39.6", "2.39.6"),
    "a pull request": ("dhis2/core-pr:42", "2.39.6", "2.39.6"),
    "somebody's latest": ("example/dhis2:latest", "2.39.6", "2.39.6"),
    "a tag that is no version": ("example/dhis2:feature-x", "2.39.6", "2.39.6"),
    "a tag of DHIS2's that is no version": ("dhis2/core-dev:feature-x", "2.39.6", "2.39.6"),
    "somebody's own numbers": ("example/dhis2:2.1", "2.39.6", "2.39.6"),
}


@pytest.mark.parametrize(("image", "version", "folder"), IMAGES.values(), ids=IMAGES.keys())
def test_an_image_decides_over_the_version_where_its_tag_tells_one(image: str, version: str, folder: str) -> None:
    release = resolve_release("2.39.6", image)
    assert release.image == image, "the image is used as it is written"
    assert release.version == version, "what a release can do goes by the bits that run"
    assert release.dump_url == DUMP_PATTERN.format(folder), "a dump newer than the image cannot be migrated"


def test_an_image_that_contradicts_the_version_is_named_in_a_warning() -> None:
    for version, image in (("2.38.5", "dhis2/core-dev:2.40"), ("2.42.3", "dhis2/core:2.42.5")):
        told = resolve_release(version, image).warnings(2, 0)
        assert any(version in text and "config rm image" in text for text in told), (
            "a version that silently does nothing is a riddle"
        )
    for version, image in (("dev", "dhis2/core:2.41"), ("42.5", "dhis2/core:2.42.5"), ("2.42", "example/x:y")):
        assert not resolve_release(version, image).warnings(2, 0), "nothing contradicts here"


@pytest.mark.parametrize(
    "image", ["", "dhis2/core:2.36.1", "Dhis2/Core:2.42", "dhis2/core:", "a b", "dhis2/core@sha256:12"]
)
def test_an_image_nobody_can_run_is_refused(image: str) -> None:
    if not image:
        assert resolve_release("42", image).image == "dhis2/core:2.42", "an empty image counts as unset"
        return
    with pytest.raises(ReleaseError) as caught:
        resolve_release("dev", image)
    assert caught.value.key == "image" and "config set image" in caught.value.command, "the image is what to mend"


def test_a_dump_may_be_exchanged_alone() -> None:
    def dump(text: str | None) -> tuple[str | None, Path | None]:
        release = resolve_release("2.42", None, text)
        assert release.image == "dhis2/core:2.42", "the dump says nothing about the image"
        return release.dump_url, release.dump_path

    assert dump(None) == dump("") == (DUMP_PATTERN.format("2.42"), None)
    assert dump("none") == dump("NONE") == (None, None), "none means a blank database"
    assert dump("https://example.org/x.sql.gz") == ("https://example.org/x.sql.gz", None)
    assert dump("HTTPS://example.org/x.sql.gz")[1] is None, "a scheme may have capitals"
    for address in ("file:///srv/x.sql.gz", "file:////srv/x.sql.gz", "FILE:/srv/x.sql.gz"):
        assert dump(address) == ("/srv/x.sql.gz", Path("/srv/x.sql.gz"))
    assert dump("file:x.sql.gz") == dump("x.sql.gz") == ("x.sql.gz", Path("x.sql.gz"))
    assert dump("file://./x.sql.gz")[0] == "./x.sql.gz"
    assert dump("~/x.sql.gz")[0] == str(Path.home() / "x.sql.gz")


# The last release without and the first with, of every ability that changed.
REPLICAS = {
    "2.38.2": (ReplicaSupport.UNUSED, "2.39.4"),
    "2.38": (ReplicaSupport.UNUSED, "2.39.4"),
    "2.39.3.1": (ReplicaSupport.UNUSED, "2.39.4"),
    "2.39.4": (ReplicaSupport.USED, None),
    "2.40.2.2": (ReplicaSupport.UNUSED, "2.40.3"),
    "2.40.3": (ReplicaSupport.USED, None),
    "2.40": (ReplicaSupport.USED, None),
    "2.41.0": (ReplicaSupport.USED, None),
    "2.42.0": (ReplicaSupport.BREAKS_ANALYTICS, "2.43.0"),
    "2.42.5.2": (ReplicaSupport.BREAKS_ANALYTICS, "2.43.0"),
    "2.42": (ReplicaSupport.BREAKS_ANALYTICS, "2.43.0"),
    "2.43.0": (ReplicaSupport.USED, None),
    "44": (ReplicaSupport.USED, None),
    "dev": (ReplicaSupport.USED, None),
}


@pytest.mark.parametrize(("version", "expected"), REPLICAS.items())
def test_what_a_release_makes_of_its_replicas(version: str, expected: tuple[ReplicaSupport, str | None]) -> None:
    release = resolve_release(version)
    assert (release.replica_support, release.first_good_release) == expected, "DHIS2-15963 and the 2.42 line's fault"
    assert release.needs_primary_leader == (expected[0] is ReplicaSupport.BREAKS_ANALYTICS)


def test_cookie_and_pool_change_at_the_release_where_dhis2_changed_them() -> None:
    cookies = {version: resolve_release(version).session_cookie for version in ("2.38", "2.39", "2.40.6", "2.41.3.1")}
    assert set(cookies.values()) == {"SESSION"}, f"before DHIS2-18460: {cookies}"
    cookies = {
        v: resolve_release(v).session_cookie for v in ("2.40.7", "2.40", "2.41.4", "2.41", "2.42.0", "dev", "44")
    }
    assert set(cookies.values()) == {"JSESSIONID"}, f"after DHIS2-18460: {cookies}"
    assert {resolve_release(v).home for v in ("2.38.2", "2.38", "2.39.0", "dev")} == {"/opt/dhis2"}
    assert [resolve_release(v).pool for v in ("2.42.5", "2.43.0", "44", "dev")] == ["c3p0"] + ["hikari"] * 3
    assert [resolve_release(v).unlogged_default for v in ("2.40", "2.41.0", "dev")] == [False, True, True]
    assert [resolve_release(v).line for v in ("dev", "42.3.1")] == [None, (2, 42)]


def test_a_warning_comes_only_where_it_concerns_the_stack() -> None:
    def of(version: str, cores: int, replicas: int) -> str:
        return " ".join(resolve_release(version).warnings(cores, replicas))

    assert "2.39.4" in of("2.38.5", 2, 1), (
        "an unused replica costs memory and serves nobody: name the release that uses it"
    )
    assert of("2.38.5", 2, 0) == "", "no replica, nothing to warn of"
    assert "cores 2" in of("2.42", 1, 1), "a second core ends what one core on 2.42 suffers"
    assert of("2.42", 2, 1) == of("2.42", 1, 0) == "", "with a second core, or without replica, it works"
    assert "newer" in of("44", 1, 1) and of("43.1", 3, 2) == of("dev", 3, 2) == ""


def test_a_release_cannot_be_changed() -> None:
    release = resolve_release("42")
    with pytest.raises(FrozenInstanceError):
        release.image = "x"  # type: ignore[misc]


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    assert redacted_url("https://u:pw@example.org:8443/a.sql.gz?token=t#f") == "https://example.org:8443/a.sql.gz"
    assert redacted_url("dumps/a.sql.gz") == local_path("file:dumps/a.sql.gz") == "dumps/a.sql.gz"


def test_an_image_reference_is_taken_apart_as_docker_does() -> None:
    assert image_parts(f"[::1]:5000/a/b_c:T.1@{DIGEST}") == ("[::1]:5000/a/b_c", "T.1", DIGEST)
    assert image_parts("Registry:5000/a:1")[0] == "Registry:5000/a", "a host may have capitals, a repository not"
    assert image_parts("nginx") == ("nginx", None, None)
    assert image_parts("localhost:5000/nginx") == ("localhost:5000/nginx", None, None), "5000 is a port, not a tag"
