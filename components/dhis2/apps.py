"""Apps for DHIS2: entries of the setting `apps`, zip files, and the versions that the App Hub offers."""

import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.dhis2.dump_url import is_http_url, local_path, redacted_url
from components.dhis2.version import Version

MANIFEST = "manifest.webapp"
STABLE = "stable"  # the App Hub's channel of releases
MOST_LISTED = 8  # versions in a message
_HUB_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_HUB_APP = re.compile(rf"({_HUB_ID})(?:@(.*))?", re.IGNORECASE)
_HUB_PAGE = re.compile(rf"https?://[^/]+/app/({_HUB_ID})/?([?#].*)?", re.IGNORECASE)
_HUB_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}", re.ASCII)
_DHIS2_VERSION = re.compile(r"(?:2\.)?(\d+)(?:\.(\d+))?", re.ASCII)
# zipfile's own for a damaged file, an encrypted one, and an unknown compression.
_UNREADABLE = (zipfile.BadZipFile, RuntimeError, zlib.error, EOFError, OSError)


class AppError(ValueError):
    """Why an app cannot be used; the text continues a sentence that begins with the app."""


@dataclass(frozen=True, kw_only=True)
class AppEntry:
    """One entry of the setting `apps`: an app of the App Hub, or a zip file at an http(s) address or on this machine.

    `name` is fit for messages. `version` is None where the newest one that fits is installed.
    """

    name: str
    hub_id: str | None = None
    version: str | None = None
    url: str | None = field(default=None, repr=False)
    path: Path | None = None


@dataclass(frozen=True, kw_only=True)
class AppZip:
    """A zip file with an app. `key` is what DHIS2 names the app by, `digest` the SHA-256 of the file."""

    key: str
    version: str
    digest: str
    content: bytes = field(repr=False)


def parse_entry(text: str) -> AppEntry:
    """Return an entry of the setting `apps`. Reads no file. Raises AppError for an App Hub id without its version."""
    if is_http_url(text):
        return AppEntry(name=shown_name(text), url=text)
    match = _HUB_APP.fullmatch(text)
    if match is None:
        return AppEntry(name=text, path=Path(local_path(text)))
    hub_id, version = match[1].lower(), match[2]
    if version is not None and not _HUB_VERSION.fullmatch(version):
        raise AppError("has no version of an app behind its @, such as @1.2.3")
    return AppEntry(name=hub_id + (f"@{version}" if version else ""), hub_id=hub_id, version=version)


def shown_name(text: str) -> str:
    """Return an entry without user, password and query, also where its address is invalid."""
    try:
        return redacted_url(text)
    except ValueError:
        return re.sub(r"//[^/]*@|[?#].*", "//", text)


def id_of_page(url: str) -> str | None:
    """Return the id of the app whose page in the App Hub has this address; None for any other address."""
    match = _HUB_PAGE.fullmatch(url)
    return match[1].lower() if match else None


def setting_of(entries: Iterable[str]) -> str | None:
    """Return the value of the setting `apps` with these entries; None for none, and where one has a login."""
    listed = [*entries]
    return json.dumps(listed) if listed and all(shown_name(entry) == entry for entry in listed) else None


def read_zip(content: bytes) -> AppZip:
    """Return the app in a zip file, by its manifest. Raises AppError."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            folders = {name.partition("/")[0] for name in names if "/" in name}
            # DHIS2 2.40 and later also take a zip file whose content is in one folder.
            path = MANIFEST if MANIFEST in names or len(folders) != 1 else f"{folders.pop()}/{MANIFEST}"
            manifest = json.loads(archive.read(path))
    except KeyError:
        raise AppError(f"is no DHIS2 app: the zip file has no {MANIFEST}") from None
    except _UNREADABLE:
        raise AppError("is not a zip file that can be read") from None
    except ValueError:
        raise AppError(f"is no DHIS2 app: its {MANIFEST} is not JSON") from None
    name, version = (manifest.get(key) for key in ("name", "version")) if isinstance(manifest, dict) else ("", "")
    if not name or not version:
        raise AppError(f"is no DHIS2 app: its {MANIFEST} has no name or no version")
    key = app_key(str(manifest.get("short_name") or name))
    return AppZip(key=key, version=str(version), digest=hashlib.sha256(content).hexdigest(), content=content)


def app_key(name: str) -> str:
    """Return the key that DHIS2 makes of an app's name, as in getUrlFriendlyName of its App class."""
    return re.sub(r"\s+", "-", re.sub(r"[^A-Za-z0-9\s-]", "", name.strip(), flags=re.ASCII), flags=re.ASCII)


def choose_version(offered: Sequence[Mapping[str, Any]], wanted: str | None, release: Version) -> Mapping[str, Any]:
    """Return the version to install of those the App Hub offers, as its API describes them.

    That is the wanted one, or the newest stable one for this release of DHIS2. Raises AppError.
    """
    newest_first = sorted(offered, key=lambda version: _precedence(str(version.get("version"))), reverse=True)
    if wanted is not None:
        fitting = [version for version in newest_first if version.get("version") == wanted]
    else:
        stable = [version for version in newest_first if str(version.get("channel") or STABLE).lower() == STABLE]
        fitting = [version for version in stable if _is_for(version, release)]
    if fitting:
        return fitting[0]
    listed = ", ".join(_described(version) for version in newest_first[:MOST_LISTED]) or "none"
    if wanted is not None:
        raise AppError(f"the App Hub has no version {wanted} of it; its versions: {listed}")
    raise AppError(f"the App Hub has no stable version of it for DHIS2 {release.text}; its versions: {listed}")


def _is_for(version: Mapping[str, Any], release: Version) -> bool:
    """Return whether a release of DHIS2 is between the oldest and the newest one of an app's version."""
    oldest, newest = (_DHIS2_VERSION.match(str(version.get(f"{end}DhisVersion") or "")) for end in ("min", "max"))
    if oldest and not release.at_least(int(oldest[1]), int(oldest[2] or 0)):
        return False
    if newest is None:
        return True
    # As in the App Hub's own filter, 2.41 and 2.41.0 stand for every 2.41.
    line, patch = int(newest[1]), int(newest[2] or 0)
    return not (release.at_least(line, patch + 1) if patch else release.at_least(line + 1))


def _described(version: Mapping[str, Any]) -> str:
    oldest, newest = version.get("minDhisVersion"), version.get("maxDhisVersion")
    channel = str(version.get("channel") or STABLE).lower()
    note = f"DHIS2 {oldest or 'any'}{f' to {newest}' if newest else ' and later'}"
    return f"{version.get('version')} ({note}{'' if channel == STABLE else f', {channel}'})"


def _precedence(version: str) -> tuple[list[int], bool, list[tuple[bool, int, str]]]:
    """Return a sort key after Semantic Versioning: numbers by value, a pre-release before its release."""
    numbers, _, pre = version.removeprefix("v").partition("+")[0].partition("-")
    return (
        [int(number) if number.isdecimal() else 0 for number in numbers.split(".")],
        not pre,
        [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in pre.split(".")],
    )
