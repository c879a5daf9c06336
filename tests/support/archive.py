"""Tar archives, the form in which Docker takes files into a container."""

import io
import tarfile
from collections.abc import Mapping


def packed(files: Mapping[str, str | bytes], uid: int = 0) -> bytes:
    """Return a tar archive of files by their paths: owned by `uid`, readable by all, scripts executable.

    It has no entries for folders, so those of the container keep their owner and mode.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(data), 0o555 if data.startswith(b"#!") or path.endswith(".sh") else 0o444
            entry.uid = entry.gid = uid
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
