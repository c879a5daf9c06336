"""Brings a local dump file to the engine, wherever that is, and runs a failed fetch again. Imports no Pulumi."""

import io
import os
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from components.engine.watch import inspect

if TYPE_CHECKING:
    import docker

CACHE = "/var/tmp"  # noqa: S108 - where the fetch container has the dump cache
CHUNK_BYTES = 1 << 20
ARRIVED = "delivered"


def start_again(client: "docker.DockerClient", container: str) -> bool:
    """Start a fetch that has failed before; true when it is running now."""
    state = (inspect(client, container) or {}).get("State") or {}
    if state.get("Status") == "exited" and state.get("ExitCode"):
        client.api.start(container)
        return True
    return state.get("Status") == "running"


def deliver(client: "docker.DockerClient", container: str, path: Path, key: str) -> None:
    """Copy a dump file into the cache as `<key>.incoming`, then say with `<key>.delivered` that it is whole.

    Through the engine's API, because an engine on another machine, or in a virtual one, sees none of our files.
    """
    with path.open("rb") as dump, tempfile.TemporaryFile() as packed:
        with tarfile.open(fileobj=packed, mode="w") as archive:
            entry = tarfile.TarInfo(f"{key}.incoming")
            entry.size, entry.mode = os.fstat(dump.fileno()).st_size, 0o644
            archive.addfile(_owned(entry), dump)
        packed.seek(0)
        client.api.put_archive(container, CACHE, packed)
    with io.BytesIO() as packed_mark:
        with tarfile.open(fileobj=packed_mark, mode="w") as archive:
            archive.addfile(_owned(tarfile.TarInfo(f"{key}.{ARRIVED}")))
        client.api.put_archive(container, CACHE, packed_mark.getvalue())


def _owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 101  # the fetch container's user, who renames it
    entry.mtime = int(time.time())  # without one it is of 1970, and the next stack's fetch tidies up what is old
    return entry
