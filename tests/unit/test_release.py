"""Versions and images: the release each stands for, and which are refused."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from components.dhis2.dump_url import local_path, redacted_url
from components.dhis2.image_reference import image_parts
from components.dhis2.release import DUMP_PATTERN, ConnectionPool, ReplicaSupport, resolve_release
from components.dhis2.version import ReleaseError

DIGEST = "sha256:" + "0123456789abcdef" * 4

# version text -> (version, image, folder of the dump)
VALID = {
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
# version text -> words of the reason
INVALID = {
    "": "not a DHIS2 version",
    "   ": "not a DHIS2 version",
    "2": "not a DHIS2 release line",
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
    "100": "not a DHIS2 release line",
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


@pytest.mark.parametrize(("text", "expected"), VALID.items())
def test_a_version_stands_for_its_image_and_its_dump(text: str, expected: tuple[str, str, str]) -> None:
    release = resolve_release(text)
    version, image, folder = expected
    assert (release.version, release.image) == (version, image), "the tag must be one DHIS2 publishes"
    assert release.dump_url == DUMP_PATTERN.format(folder), "the dump must be migratable by that image"


@pytest.mark.parametrize(("text", "reason"), INVALID.items())
def test_another_text_is_refused_with_the_reason_and_a_version_to_use(text: str, reason: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        resolve_release(text)
    assert reason in caught.value.reason and str(caught.value) == f'"{text.strip()}" {caught.value.reason}'
    assert resolve_release(caught.value.instead), "it must be a version that works"


# what -> image, version of its tag, folder of the dump
IMAGES = {
    "development image of a line": ("dhis2/core-dev:2.40", "2.40", "2.40"),
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
def test_an_image_whose_tag_is_a_version_overrides_the_version(image: str, version: str, folder: str) -> None:
    release = resolve_release("2.39.6", image)
    assert release.image == image, "the image is used as it is written"
    assert release.version == version, "the image decides what the release can do"
    assert release.dump_url == DUMP_PATTERN.format(folder), "a dump newer than the image cannot be migrated"


def test_a_version_the_image_overrides_is_in_a_warning() -> None:
    for version, image in (("2.38.5", "dhis2/core-dev:2.40"), ("2.42.3", "dhis2/core:2.42.5")):
        warnings = resolve_release(version, image).warnings(2, 0)
        assert any(f"version is {version}, but image {image} is" in text for text in warnings)
        assert any("pulumi config rm image" in text for text in warnings)
    for version, image in (("dev", "dhis2/core:2.41"), ("42.5", "dhis2/core:2.42.5"), ("2.42", "example/x:y")):
        assert not resolve_release(version, image).warnings(2, 0), "version and image are the same release"


@pytest.mark.parametrize("image", ["Dhis2/Core:2.42", "dhis2/core:", "a b", "dhis2/core@sha256:12"])
def test_a_text_that_is_no_image_reference_is_refused(image: str) -> None:
    with pytest.raises(ValueError, match="is not an image reference such as dhis2"):
        resolve_release("dev", image)


def test_a_dhis2_image_that_is_too_old_is_refused() -> None:
    with pytest.raises(ReleaseError, match=r"is older than 2\.38\.2"):
        resolve_release("dev", "dhis2/core:2.36.1")


def test_an_empty_image_is_unset() -> None:
    assert resolve_release("42", "").image == "dhis2/core:2.42"


def test_another_dump_leaves_the_image_alone() -> None:
    def dump(text: str | None) -> tuple[str | None, Path | None]:
        release = resolve_release("2.42", None, text)
        assert release.image == "dhis2/core:2.42", "a dump does not decide the image"
        return release.dump_url, release.dump_path

    assert dump(None) == dump("") == (DUMP_PATTERN.format("2.42"), None)
    assert dump("none") == dump("NONE") == (None, None), "none is a blank database"
    assert dump("https://example.org/x.sql.gz") == ("https://example.org/x.sql.gz", None)
    assert dump("HTTPS://example.org/x.sql.gz")[1] is None, "a scheme may have capitals"
    for address in ("file:///srv/x.sql.gz", "file:////srv/x.sql.gz", "FILE:/srv/x.sql.gz"):
        assert dump(address) == ("/srv/x.sql.gz", Path("/srv/x.sql.gz"))
    assert dump("file:x.sql.gz") == dump("x.sql.gz") == ("x.sql.gz", Path("x.sql.gz"))
    assert dump("file://./x.sql.gz")[0] == "./x.sql.gz"
    assert dump("~/x.sql.gz")[0] == str(Path.home() / "x.sql.gz")


# The last release without and the first with reads from replicas, by line
REPLICAS = {
    "2.38.2": ReplicaSupport.UNUSED,
    "2.38": ReplicaSupport.UNUSED,
    "2.39.3.1": ReplicaSupport.UNUSED,
    "2.39.4": ReplicaSupport.USED,
    "2.40.2.2": ReplicaSupport.UNUSED,
    "2.40.3": ReplicaSupport.USED,
    "2.40": ReplicaSupport.USED,
    "2.41.0": ReplicaSupport.USED,
    "2.42.0": ReplicaSupport.BREAKS_ANALYTICS,
    "2.42.5.2": ReplicaSupport.BREAKS_ANALYTICS,
    "2.42": ReplicaSupport.BREAKS_ANALYTICS,
    "2.43.0": ReplicaSupport.USED,
    "44": ReplicaSupport.USED,
    "dev": ReplicaSupport.USED,
}


@pytest.mark.parametrize(("version", "expected"), REPLICAS.items())
def test_replica_support_follows_the_release(version: str, expected: ReplicaSupport) -> None:
    release = resolve_release(version)
    assert release.replica_support is expected, "DHIS2-15963, and the analytics job of the 2.42 line"
    assert release.needs_primary_leader == (expected is ReplicaSupport.BREAKS_ANALYTICS)


def test_the_connection_pool_changes_with_243() -> None:
    pools = [resolve_release(version).pool for version in ("2.42.5", "2.43.0", "44", "dev")]
    assert pools == [ConnectionPool.C3P0] + [ConnectionPool.HIKARI] * 3


@pytest.mark.parametrize(("version", "first"), [("2.38.5", "2.39.4"), ("2.39.1", "2.39.4"), ("2.40.2", "2.40.3")])
def test_an_unused_replica_is_warned_about_with_the_first_release_that_reads_from_it(version: str, first: str) -> None:
    (warning,) = resolve_release(version).warnings(2, 1)
    assert "never reads from its replicas" in warning and f"pulumi config set version {first}, " in warning


# A key of dhis.conf, the last release of a line that ignores it and the first that reads it
READ_SINCE = [
    ("system.session.timeout", "2.38.5", "2.40.7"),
    ("system.session.timeout", "2.40.6", "2.40.7"),
    ("system.session.timeout", "2.41.3.1", "2.41.4"),
    ("csp.enabled", "2.38.2", "2.38.3"),
    ("csp.enabled", "2.39.0", "2.39.1"),
    ("max.file_upload_size", "2.38.7", "2.39.8"),
    ("max.file_upload_size", "2.40.5", "2.40.6"),
    ("linked_accounts.enabled", "2.39", "2.40.0"),
    ("analytics.connection.url", "2.40.12", "2.41.0"),
    ("session.cookie.samesite", "2.41", "2.42.0"),
    ("audit.api", "2.42.2", "2.42.3"),
    ("logging.query", "2.42.5.2", "2.43.0"),
]


@pytest.mark.parametrize(("key", "ignoring", "first"), READ_SINCE)
def test_a_key_that_a_release_ignores_is_warned_about_with_the_first_that_reads_it(
    key: str, ignoring: str, first: str
) -> None:
    (warning,) = resolve_release(ignoring).warnings(2, 0, [key])
    assert f"ignores {key} of dhisConf; the first release that reads it is {first}: " in warning
    assert warning.endswith(f"pulumi config set version {first}")
    later = (first, first.rpartition(".")[0], "43.1", "dev")
    assert not [version for version in later if resolve_release(version).warnings(2, 0, [key])]


def test_a_key_that_no_published_release_reads_names_the_development_version() -> None:
    (warning,) = resolve_release("43.1").warnings(2, 0, ["monitoring.jmx.enabled"])
    assert warning.endswith("pulumi config set version dev")
    assert resolve_release("dev").warnings(2, 0, ["monitoring.jmx.enabled"]) == ()


def test_a_key_that_newer_releases_ignore_is_warned_about() -> None:
    (warning,) = resolve_release("43").warnings(2, 0, ["enable.query.logging"])
    assert "the last line that reads it is 2.42; logging.query took its place" in warning
    assert resolve_release("2.42").warnings(2, 0, ["enable.query.logging"]) == ()
    (warning,) = resolve_release("2.41").warnings(2, 0, ["leader.time.to.live.minutes"])
    assert warning.endswith("the last line that reads it is 2.40")


@pytest.mark.parametrize("key", ["session.timeout", "system.sesion.timeout", "System.session.timeout"])
def test_a_key_that_resembles_one_of_dhis2_is_warned_about(key: str) -> None:
    (warning,) = resolve_release("43").warnings(2, 0, [key])
    assert warning.endswith("did you mean system.session.timeout?")


def test_a_key_of_one_s_own_and_those_every_release_reads_are_not_warned_about() -> None:
    keys = ["my.own.key", "oidc.provider.mine.client_id", "ldap.url", "monitoring.api.enabled", "server.https"]
    assert not [version for version in ("2.38.2", "42", "dev") if resolve_release(version).warnings(2, 0, keys)]


def test_a_warning_comes_only_where_it_concerns_the_stack() -> None:
    def warnings(version: str, cores: int, replicas: int) -> str:
        return " ".join(resolve_release(version).warnings(cores, replicas))

    assert warnings("2.38.5", 2, 0) == "", "no replica, no warning"
    assert "pulumi config set cores 2" in warnings("2.42", 1, 1), "the second core of 2.42 reads from the replica"
    assert warnings("2.42", 2, 1) == warnings("2.42", 1, 0) == "", "with a second core, or without replica, it works"
    assert "is newer than the lines this program knows" in warnings("44", 1, 1)
    assert warnings("43.1", 3, 2) == warnings("dev", 3, 2) == ""


def test_a_release_cannot_be_changed() -> None:
    release = resolve_release("42")
    with pytest.raises(FrozenInstanceError):
        release.image = "x"  # type: ignore[misc]


def test_a_redacted_address_has_no_secret() -> None:
    assert redacted_url("https://u:pw@example.org:8443/a.sql.gz?token=t#f") == "https://example.org:8443/a.sql.gz"
    assert redacted_url("dumps/a.sql.gz") == local_path("file:dumps/a.sql.gz") == "dumps/a.sql.gz"


def test_an_image_reference_is_parsed_as_docker_does() -> None:
    assert image_parts(f"[::1]:5000/a/b_c:T.1@{DIGEST}") == ("[::1]:5000/a/b_c", "T.1", DIGEST)
    assert image_parts("Registry:5000/a:1")[0] == "Registry:5000/a", "a host may have capitals, a repository not"
    assert image_parts("nginx") == ("nginx", None, None)
    assert image_parts("localhost:5000/nginx") == ("localhost:5000/nginx", None, None), "5000 is a port, not a tag"


OWN, PUBLISHED = "../backup.dump", None
# image or version, dump -> whether Flyway migrates out of order, whether it repairs its history
FLYWAY = {
    ("2.42.5", "", OWN): (False, False),
    ("2.42.5", "", PUBLISHED): (True, False),
    ("2.42.5", "registry.example.org/dhis2:2.42.5", OWN): (False, False),
    ("dev", "", OWN): (True, True),
    ("dev", "dhis2/core-dev:2.40", OWN): (True, True),
    ("42", "dhis2/core-canary:2.42-20260101", "none"): (True, True),
}


@pytest.mark.parametrize("case", FLYWAY)
def test_only_development_builds_repair_migrations_and_only_published_dumps_need_them_out_of_order(
    case: tuple[str, str, str | None],
) -> None:
    version, image, dump = case
    release = resolve_release(version, image or None, dump)
    assert (release.migrates_out_of_order, release.repairs_migrations) == FLYWAY[case]
