"""Files put into a container before it starts, one archive each, owned by root."""

import base64
import io
import stat
import tarfile
import time
from pathlib import Path
from typing import Any

from docker.errors import APIError

from offline.plugins.engine.connection import words
from offline.plugins.resources import PluginError
from offline.plugins.wire import Properties

MODE, EXECUTABLE_MODE = 0o644, 0o744


def upload(api: Any, container: str, uploads: list[Properties]) -> None:  # noqa: ANN401 - the SDK's low-level client
    """Put all files into a container; PluginError with the engine's words when it refuses one."""
    for each in uploads:
        archive = archived(each["file"], content(each), mode(each))
        try:
            api.put_archive(container, "/", archive)
        except APIError as error:
            raise PluginError(f"Unable to upload volume content: {words(error)}") from error


def content(given: Properties) -> bytes:
    """Return what a file holds, from the one of its three sources that is set; PluginError for none or several."""
    names = [name for name in ("content", "contentBase64", "source") if given.get(name)]
    known = "'content', 'content_base64', or 'source'"
    if not names:
        raise PluginError(f"error with upload content: one of {known} must be set")
    if len(names) > 1:
        raise PluginError(f"error with upload content: only one of {known} can be set")
    if names == ["content"]:
        return str(given["content"]).encode()
    if names == ["contentBase64"]:
        return base64.b64decode(given["contentBase64"])
    try:
        return Path(given["source"]).read_bytes()
    except OSError as error:
        raise PluginError(f"could not read file: open {given['source']}: {error.strerror}") from error


def mode(given: Properties) -> int:
    """Return a file's permissions."""
    if given.get("permissions"):
        return int(given["permissions"], 8)
    return EXECUTABLE_MODE if given.get("executable") else MODE


def archived(path: str, data: bytes, permissions: int) -> bytes:
    """Return a tar archive of one file, root's, to be unpacked at /."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(path)
        member.size, member.mode, member.mtime = len(data), stat.S_IMODE(permissions), int(time.time())
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
