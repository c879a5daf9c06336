"""Which dump a database is loaded from, and the key its cached copy and the seeded database are known by. Pure."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from components.dhis2.dump_url import redacted_url
from components.dhis2.release import Release

BLANK = "none"


@dataclass(frozen=True, kw_only=True)
class DumpSource:
    """A dump.

    `key` is 64 hexadecimal digits, or `none` for a blank database; `name` may be shown to anyone. Of `url` (it may hold
    a password) and `path` at most one is set.
    """

    key: str = BLANK
    name: str = BLANK
    url: str | None = field(default=None, repr=False)
    path: Path | None = None


def resolve_dump_source(release: Release) -> DumpSource:
    """The seed a release's dump address means.

    A web address is its own identity, whatever it serves later; a local file is known by its content. Raises OSError
    when the file cannot be read.
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
