"""Upload a local dump file into the dump cache of a Docker Engine, wherever that is."""

import io
import os
import tarfile
import tempfile
import time

from docker import DockerClient

from components.orchestrator.commands import execute
from components.orchestrator.engine_info import MAKE_ROOM
from components.orchestrator.watcher import DumpUpload, NotReady


def upload_dump(client: DockerClient, container: str, upload: DumpUpload) -> None:
    """Copy a dump file into a container, then mark it complete.

    Through Docker's API, because an Engine on another machine or in a virtual one cannot read local files. The user of
    the container renames the file. Raises NotReady when the volume has no room for the dump.
    """
    path, folder, key, uid = upload.path, upload.folder, upload.key, upload.uid
    with path.open("rb") as dump, tempfile.TemporaryFile() as packed:
        size = os.fstat(dump.fileno()).st_size
        free = _free_bytes(client, container, folder)
        if free is not None and size > free:
            execute(client, container, upload.make_room(size))
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
