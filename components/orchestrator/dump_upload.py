"""Upload a local dump file into the dump cache of a Docker Engine, wherever that is, and restart a failed fetch."""

import io
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from docker import DockerClient

from components.orchestrator.commands import execute
from components.orchestrator.engine_info import MAKE_ROOM
from components.orchestrator.readiness import NotReady, inspect


def restart_failed(client: DockerClient, container: str) -> bool:
    """Restart a one-shot container that has failed before; tell whether it is running now."""
    state = (inspect(client, container) or {}).get("State") or {}
    if state.get("Status") == "exited" and state.get("ExitCode"):
        client.api.start(container)
        return True
    return state.get("Status") == "running"


def upload_dump(
    client: DockerClient,
    container: str,
    path: Path,
    *,
    folder: str,
    key: str,
    uid: int,
    make_room: Callable[[int], Sequence[str]],
) -> None:
    """Copy a dump file to `<folder>/<key>.incoming` in a container, then mark it complete with `<key>.delivered`.

    Through Docker's API, because an Engine on another machine or in a virtual one cannot read local files. Both files
    belong to `uid`, the container's user, who renames them. `make_room` returns the command that frees room
    for so many bytes. Raises NotReady when the volume has no room for the dump.
    """
    with path.open("rb") as dump, tempfile.TemporaryFile() as packed:
        size = os.fstat(dump.fileno()).st_size
        free = _free_bytes(client, container, folder)
        if free is not None and size > free:
            execute(client, container, make_room(size))
            free = _free_bytes(client, container, folder)
        if free is not None and size > free:
            raise NotReady(
                f"the dump {path.name} needs {size // 10**6} MB, and the disk of Docker Engine has {free // 10**6} MB free. {MAKE_ROOM}"
            )
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.addfile(_entry(f"{key}.incoming", uid, size), dump)
        packed.seek(0)
        client.api.put_archive(container, folder, packed)
    with io.BytesIO() as marker:
        with tarfile.open(fileobj=marker, mode="w") as archive:
            archive.addfile(_entry(f"{key}.delivered", uid))
        client.api.put_archive(container, folder, marker.getvalue())


def _free_bytes(client: DockerClient, container: str, folder: str) -> int | None:
    """Return what is free on the disk of a folder in a container; None where that is not known."""
    code, output = execute(client, container, ["df", "-Pk", folder])
    free = output.split()[-3:-2] if code == 0 else []
    return int(free[0]) * 1024 if free and free[0].isdigit() else None


def _entry(name: str, uid: int, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.uid, entry.gid = size, 0o644, uid, uid
    entry.mtime = int(time.time())  # its default is 1970, and the next fetch removes old files
    return entry
