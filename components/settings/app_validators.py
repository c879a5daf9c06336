"""The validator of the setting `apps`. It reads local zip files."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic_core import PydanticCustomError

from components.dhis2.apps import AppError, id_of_page, parse_entry, read_zip, setting_of, shown_name
from components.settings.validators import invalid, listed, text, with_host


def apps(value: object) -> tuple[str, ...]:
    """Return the entries: App Hub ids, also with @version, http(s) addresses, and files that are DHIS2 apps."""
    entries = [entry for written in listed(value) if (entry := text(written))]
    reasons: dict[int, str] = {}
    for index in range(len(entries)):
        try:
            _check(entries, index)
        except (AppError, PydanticCustomError) as error:
            reasons[index] = error.message() if isinstance(error, PydanticCustomError) else str(error)
    if reasons:
        raise _invalid(entries, reasons)
    return tuple(entries)


def _check(entries: Sequence[str], index: int) -> None:
    entry = entries[index]
    if id_of_page(entry):
        raise AppError("is a page of the App Hub; the setting takes the id in it")
    parsed = parse_entry(entry)
    before = entries[:index]
    if entry in before or (parsed.hub_id and any(parsed.hub_id in other.lower() for other in before)):
        raise AppError("is in the list twice")
    if parsed.url:
        with_host(parsed.url)
    elif parsed.path and "://" in entry and not entry.lower().startswith("file://"):
        raise AppError("is not an http(s) address, file: or path")
    elif parsed.path:
        _read(parsed.path)


def _read(path: Path) -> None:
    if path.is_dir():
        raise AppError("is a directory, not a zip file")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise AppError(
            "is neither an App Hub id nor a file that exists (a relative path starts at the project's directory)"
        ) from None
    except OSError as error:
        raise AppError(f"cannot be read: {error.strerror}") from None
    read_zip(content)


def _invalid(entries: Sequence[str], reasons: dict[int, str]) -> PydanticCustomError:
    """Return the error of these entries. It has no login, and names all but the first by their position."""
    first, *others = reasons
    reason = "; ".join([reasons[first], *(f"entry {index + 1} {reasons[index]}" for index in others)])
    corrected = [
        id_of_page(entry) or entry for index, entry in enumerate(entries) if id_of_page(entry) or index not in reasons
    ]
    instead = setting_of(dict.fromkeys(corrected))
    command = None if corrected else "pulumi config rm apps"
    return invalid("{reason}", instead, command=command, shown=json.dumps(shown_name(entries[first])), reason=reason)
