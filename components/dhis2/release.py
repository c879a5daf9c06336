"""What a version text means: image, dump, and what that DHIS2 release can do. Pure; imports no Pulumi.

Sources: tags from dhis2-core's docker/DOCKERHUB.md; dump addresses from the download page of dhis2-releases (the hotfix
part is dropped) and dhis2-core's compose files; abilities from the ConfigurationKey, ReadOnlyDataSourceManager and
session configuration classes of the tagged releases, issue numbers where DHIS2 tracks them.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from components.dhis2.dump_url import is_http_url, local_path
from components.dhis2.image_reference import image_parts
from components.dhis2.version import DEV_VERSIONS, NEWEST_PATCH, OLDEST, ReleaseError, Version, parse_version

DUMP_PATTERN = "https://databases.dhis2.org/sierra-leone/{}/dhis2-db-sierra-leone.sql.gz"
NO_DUMP = "none"
HOME = "/opt/dhis2"
NEWEST_KNOWN_LINE = 43

_CANARY_DATE = re.compile(r"-[0-9]{8}$", re.ASCII)


class ReplicaSupport(StrEnum):
    """What a DHIS2 release makes of its `readN` keys.

    `unused`: they are accepted and every read goes to the primary (DHIS2-15963, fixed in 2.39.4, 2.40.3 and 2.41.0).
    `breaks_analytics`: the 2.42 line sends the analytics job's CREATE TABLE to the replica, and the job fails.
    """

    USED = "used"
    UNUSED = "unused"
    BREAKS_ANALYTICS = "breaks_analytics"


class ConnectionPool(StrEnum):
    """Which connection pool library DHIS2 uses."""

    C3P0 = "c3p0"
    HIKARI = "hikari"


@dataclass(frozen=True, kw_only=True)
class Release:
    """One DHIS2 release as this program runs it.

    `line` is (2, 42), None for the development version. `dump_url` is an http(s) address, the path of a local file, or
    None for a blank database. `asked_version` is the version setting where the image says otherwise and wins.
    """

    version: str
    line: tuple[int, int] | None
    image: str
    dump_url: str | None
    home: str
    session_cookie: str
    unlogged_default: bool
    replica_support: ReplicaSupport
    first_good_release: str | None
    pool: ConnectionPool
    asked_version: str | None = None

    @property
    def needs_primary_leader(self) -> bool:
        """True where, beside replicas, core-1 must be the leader that runs the jobs and have no `readN` keys."""
        return self.replica_support is ReplicaSupport.BREAKS_ANALYTICS

    @property
    def dump_path(self) -> Path | None:
        """The dump as a local file; None when it is downloaded or there is none."""
        return None if self.dump_url is None or is_http_url(self.dump_url) else Path(self.dump_url)

    def warnings(self, cores: int, replicas: int) -> tuple[str, ...]:
        """What the person should know about this release with so many cores and replicas; one sentence or two each."""
        found = []
        if self.asked_version:
            found.append(
                f"version is {self.asked_version}, but image {self.image} is DHIS2 {self.version}; the image decides. "
                "To go by the version: pulumi config rm image"
            )
        if self.line and self.line[1] > NEWEST_KNOWN_LINE:
            found.append(
                f"DHIS2 {self.version} is newer than the lines this program knows (2.{OLDEST[0]} to "
                f"2.{NEWEST_KNOWN_LINE}); it is treated like 2.{NEWEST_KNOWN_LINE}."
            )
        if replicas and self.replica_support is ReplicaSupport.UNUSED:
            found.append(
                f"DHIS2 {self.version} never reads from its replicas (DHIS2-15963); the first release that does is "
                f"{self.first_good_release}: pulumi config set version {self.first_good_release}, "
                "or save the memory: pulumi config set replicas 0"
            )
        if replicas and self.needs_primary_leader and cores == 1:
            found.append(
                f"DHIS2 {self.version} cannot build analytics tables on a core that reads from a replica, so the only "
                "core reads from the primary and the replica serves nobody. A second core would read from it: "
                "pulumi config set cores 2"
            )
        return tuple(found)


def resolve_release(version: str, image: str | None = None, dump_url: str | None = None) -> Release:
    """The release a version text names, with image and dump exchanged where the settings say so.

    Where an image is given and its tag tells the version, that version decides what the release can do and which dump
    matches: a dump newer than the image cannot be migrated. `dump_url` may be `none`, an http(s) address, `file:` or a
    path.
    Raises ReleaseError for a version or image it cannot make out.
    """
    asked = parse_version(version)
    parsed = asked
    asked_version = None
    if image:
        try:
            parsed = _version_of_image(image) or asked
        except ValueError as error:
            raise ReleaseError(str(error), "pulumi config set image dhis2/core:2.42", key="image") from None
        # `dev` is what nobody set, so only another version can contradict the image.
        if asked.minor is not None and (asked.minor, asked.patch) != (parsed.minor, parsed.patch):
            asked_version = asked.text
    release = _describe(parsed, image or _image_of(parsed))
    return replace(release, dump_url=_dump_of(parsed, dump_url), asked_version=asked_version)


def _image_of(version: Version) -> str:
    return "dhis2/core-dev:latest" if version.minor is None else f"dhis2/core:{version.tag}"


def _version_of_image(image: str) -> Version | None:
    """The version an image's tag tells; None for digests alone, pull request images and tags that are no version."""
    repository, tag, _ = image_parts(image)
    name = repository.rpartition("/")[2]
    if not tag or name.endswith("-pr"):
        return None
    dhis2_names = ("core", "core-dev", "core-canary")
    if name.endswith("-canary"):
        tag = _CANARY_DATE.sub("", tag)
    if tag in DEV_VERSIONS and name not in dhis2_names:
        return None  # the latest of somebody's own builds may be any release
    try:
        return parse_version(tag)
    except ReleaseError:
        if tag.startswith("2.") and name in dhis2_names:
            raise  # a DHIS2 image of a release that is too old: its own reason is better than a guess
        return None


def _dump_of(version: Version, dump_url: str | None) -> str | None:
    if not dump_url:
        return DUMP_PATTERN.format(version.dump)
    if dump_url.lower() == NO_DUMP:
        return None
    return dump_url if is_http_url(dump_url) else local_path(dump_url)


def _describe(version: Version, image: str) -> Release:
    """What the release can do. Fixes reached several lines at different patches, hence the tables by line."""
    support, first_good = _replica_support(version)
    # DHIS2-18460: with Redis the cookie is Spring's own SESSION until the fix.
    first_jsessionid = {38: NEWEST_PATCH + 1, 39: NEWEST_PATCH + 1, 40: 7, 41: 4}
    minor = version.minor
    return Release(
        version=version.text,
        line=None if minor is None else (2, minor),
        image=image,
        dump_url=None,
        home=HOME,
        session_cookie=(
            "SESSION" if minor is not None and version.patch < first_jsessionid.get(minor, 0) else "JSESSIONID"
        ),
        unlogged_default=version.at_least(41),
        replica_support=support,
        first_good_release=first_good,
        pool=ConnectionPool.HIKARI if version.at_least(43) else ConnectionPool.C3P0,
    )


def _replica_support(version: Version) -> tuple[ReplicaSupport, str | None]:
    first_good = {38: (39, 4), 39: (39, 4), 40: (40, 3)}
    if version.minor in first_good and not version.at_least(*first_good[version.minor]):
        minor, patch = first_good[version.minor]
        return ReplicaSupport.UNUSED, f"2.{minor}.{patch}"
    if version.minor == 42:  # noqa: PLR2004 - read in 2.42.0 to 2.42.5.2, not in 2.41, 2.43 and master
        return ReplicaSupport.BREAKS_ANALYTICS, "2.43.0"
    return ReplicaSupport.USED, None
