"""Which dump a database is restored from, and the key of the dump in the dump cache and in the database's marker."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from components.dhis2.dump_url import redacted_url
from components.dhis2.release import NO_DUMP, Release


@dataclass(frozen=True, kw_only=True)
class DumpSource:
    """The dump a database is restored from, or a blank database.

    `key` is 64 hexadecimal digits, `none` for a blank database. `name` holds no secret. Of `url` (it may hold a
    password) and `path` at most one is set.
    """

    key: str = NO_DUMP
    name: str = NO_DUMP
    url: str | None = field(default=None, repr=False)
    path: Path | None = None


def resolve_dump_source(release: Release) -> DumpSource:
    """Return the dump of a release.

    The key of an http(s) address is the hash of the address, whatever it serves later; the key of a local file is the
    hash of its content. Raises OSError when the file cannot be read.
    """
    if release.dump_path:
        path = release.dump_path.resolve()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return DumpSource(key=digest, name=path.name, path=path)
    if release.dump_url:
        digest = hashlib.sha256(release.dump_url.encode()).hexdigest()
        return DumpSource(key=digest, name=redacted_url(release.dump_url), url=release.dump_url)
    return DumpSource()
