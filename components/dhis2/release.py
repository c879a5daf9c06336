"""What a version text stands for: image, dump, and what that DHIS2 release can do.

Sources: tags from dhis2-core's docker/DOCKERHUB.md; dump addresses from the download page of dhis2-releases (the hotfix
part is dropped) and dhis2-core's compose files; abilities from the ConfigurationKey, ReadOnlyDataSourceManager and
session configuration classes of the tagged releases, issue numbers where DHIS2 tracks them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from components.dhis2.dhis_conf_releases import ignored_keys
from components.dhis2.dump_url import is_http_url, local_path
from components.dhis2.image_reference import image_parts
from components.dhis2.version import DEV_VERSIONS, OLDEST, ReleaseError, Version, parse_version

PUBLISHED_DUMPS = "https://databases.dhis2.org/"
DUMP_PATTERN = f"{PUBLISHED_DUMPS}sierra-leone/{{}}/dhis2-db-sierra-leone.sql.gz"
NO_DUMP = "none"
DEVELOPMENT_IMAGES = ("core-dev", "core-canary", "core-pr")
NEWEST_KNOWN_LINE = 43

# The first release of a line that reads from replicas (DHIS2-15963); later lines always did.
_FIRST_READING_REPLICAS = {38: (39, 4), 39: (39, 4), 40: (40, 3)}
# The first release of a line that knows filestore.endpoint; later lines always did. Before, only AWS can be used.
_FIRST_WITH_S3_ENDPOINT = {38: (39, 6), 39: (39, 6), 40: (40, 5)}
_FIRST_WITH_AWS_SDK = 44  # jclouds before
_CANARY_DATE = re.compile(r"-[0-9]{8}$", re.ASCII)


class ReplicaSupport(StrEnum):
    """How a DHIS2 release uses its `readN` keys.

    `unused`: it accepts them and sends every read to the primary (DHIS2-15963, fixed in 2.39.4, 2.40.3 and 2.41.0).
    `breaks_analytics`: the 2.42 line sends the analytics job's CREATE TABLE to the replica, and the job fails.
    """

    USED = "used"
    UNUSED = "unused"
    BREAKS_ANALYTICS = "breaks_analytics"


class ConnectionPool(StrEnum):
    """The connection pool library of a DHIS2 release."""

    C3P0 = "c3p0"
    HIKARI = "hikari"


@dataclass(frozen=True, kw_only=True)
class Release:
    """One DHIS2 release as this program runs it.

    `dump_url` is an http(s) address, the path of a local file, or None for a blank database. `overridden_version` is
    the setting `version` where the tag of `image` is another version: the image decides.
    """

    number: Version
    image: str
    dump_url: str | None
    overridden_version: str | None = None

    home: ClassVar[str] = "/opt/dhis2"

    @property
    def version(self) -> str:
        """The version in its full form, such as `2.42.3.1`, or `dev`."""
        return self.number.text

    @property
    def pool(self) -> ConnectionPool:
        """The connection pool library this release uses by default."""
        return ConnectionPool.HIKARI if self.number.at_least(43) else ConnectionPool.C3P0

    @property
    def replica_support(self) -> ReplicaSupport:
        """How this release uses its `readN` keys."""
        if self.number.minor == 42:  # noqa: PLR2004 - read in 2.42.0 to 2.42.5.2, not in 2.41, 2.43 and master
            return ReplicaSupport.BREAKS_ANALYTICS
        first = _FIRST_READING_REPLICAS.get(self.number.minor or 0)
        return ReplicaSupport.UNUSED if first and not self.number.at_least(*first) else ReplicaSupport.USED

    @property
    def needs_primary_leader(self) -> bool:
        """True where, beside replicas, core-1 must be the leader that runs the jobs and have no `readN` keys."""
        return self.replica_support is ReplicaSupport.BREAKS_ANALYTICS

    @property
    def caches_settings_in_process(self) -> bool:
        """True where a core has a cache of all system settings that only a change at this core drops.

        Read in DefaultSystemSettingsService of 2.42.0 to 2.43.1. Before, they are in Redis, for all cores.
        """
        return self.number.at_least(42)

    @property
    def first_with_s3_endpoint(self) -> str:
        """The first release, from this one on, that can use an S3 server of your own; empty when it is this."""
        first = _FIRST_WITH_S3_ENDPOINT.get(self.number.minor or 0)
        return f"2.{first[0]}.{first[1]}" if first and not self.number.at_least(*first) else ""

    def s3_location(self, region: str, *, aws: bool) -> str:
        """Return the value of filestore.location for a region.

        jclouds has a name of its own for the first region of AWS, and by its real one AWS refuses to create a bucket.
        """
        jclouds = not self.number.at_least(_FIRST_WITH_AWS_SDK)
        return "us-standard" if aws and jclouds and region == "us-east-1" else region

    @property
    def is_development_build(self) -> bool:
        """True for the images DHIS2 publishes of what is not released."""
        name = image_parts(self.image)[0].rpartition("/")[2]
        return self.number.minor is None or name in DEVELOPMENT_IMAGES

    @property
    def repairs_migrations(self) -> bool:
        """True where migrations may change after they were applied: DHIS2's released ones never have."""
        return self.is_development_build

    @property
    def migrates_out_of_order(self) -> bool:
        """True where the database may lack migrations below its newest: of a development build, or published by DHIS2.

        In dhis2-core's tags from 2.38.0 to 2.43.1 no release has such a migration for the database of an earlier one.
        """
        return self.is_development_build or (self.dump_url or "").startswith(PUBLISHED_DUMPS)

    @property
    def dump_path(self) -> Path | None:
        """The dump as a local file; None when it is downloaded or there is none."""
        return None if self.dump_url is None or is_http_url(self.dump_url) else Path(self.dump_url)

    def warnings(self, cores: int, replicas: int, dhis_conf: Iterable[str] = ()) -> tuple[str, ...]:
        """Return what you should know about this release with so many cores and replicas and these keys of dhis.conf.

        One or two sentences each.
        """
        warnings, minor = [], self.number.minor or 0
        if self.overridden_version:
            warnings.append(
                f"version is {self.overridden_version}, but image {self.image} is DHIS2 {self.version}; the image decides. To use the version: pulumi config rm image"
            )
        if minor > NEWEST_KNOWN_LINE:
            warnings.append(
                f"DHIS2 {self.version} is newer than the lines this program knows (2.{OLDEST[0]} to 2.{NEWEST_KNOWN_LINE}); it is deployed like 2.{NEWEST_KNOWN_LINE}."
            )
        if replicas and self.replica_support is ReplicaSupport.UNUSED:
            first = ".".join(str(number) for number in (2, *_FIRST_READING_REPLICAS[minor]))
            warnings.append(
                f"DHIS2 {self.version} never reads from its replicas (DHIS2-15963); the first release that does is {first}: pulumi config set version {first}, or save the memory: pulumi config set replicas 0"
            )
        if replicas and self.needs_primary_leader and cores == 1:
            warnings.append(
                f"DHIS2 {self.version} cannot build analytics tables on a core that reads from a replica, so the only core reads from the primary and the replica is not used. A second core would read from it: pulumi config set cores 2"
            )
        return (*warnings, *ignored_keys(self.number, dhis_conf, NEWEST_KNOWN_LINE))


def resolve_release(version: str, image: str | None = None, dump_url: str | None = None) -> Release:
    """Return the release of the settings `version`, `image` and `dumpUrl`.

    An image whose tag is a version decides what the release can do and which dump matches: a dump newer than the image
    cannot be migrated. `dump_url` may be `none`, an http(s) address, `file:` or a path. Raises ReleaseError for a
    version, ValueError for an image that cannot be resolved.
    """
    number = parse_version(version)
    if not image:
        default = "dhis2/core-dev:latest" if number.minor is None else f"dhis2/core:{number.tag}"
        return Release(number=number, image=default, dump_url=_dump_of(number, dump_url))
    tagged = version_of_image(image) or number
    # `dev` is the default, so only another version is overridden.
    overridden = number.minor is not None and (number.minor, number.patch) != (tagged.minor, tagged.patch)
    return Release(
        number=tagged,
        image=image,
        dump_url=_dump_of(tagged, dump_url),
        overridden_version=number.text if overridden else None,
    )


def version_of_image(image: str) -> Version | None:
    """Return the version in an image's tag; None for digests alone, pull request images and tags that are no version.

    Raises ReleaseError for a DHIS2 image that is too old, ValueError for a text that is no image reference.
    """
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
            raise  # its own reason is better than a guess
        return None


def _dump_of(version: Version, dump_url: str | None) -> str | None:
    if not dump_url:
        return DUMP_PATTERN.format(version.dump)
    if dump_url.lower() == NO_DUMP:
        return None
    return dump_url if is_http_url(dump_url) else local_path(dump_url)
