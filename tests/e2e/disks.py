"""A small ext4 file system in a file, as the volume of a container."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.database.database_pair import UID


@contextmanager
def ext4(file: Path, size_mb: int) -> Iterator[str]:
    """Return the device of an ext4 file system that belongs to PostgreSQL; its file takes what is written to it."""
    assert os.geteuid() == 0, "only root may attach a loop device; run this as root"
    with file.open("wb") as disk:
        disk.truncate(size_mb * 2**20)
    # Without blocks that are reserved for root.
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-E", f"root_owner={UID}:{UID}", file], check=True)
    attach = ["losetup", "--find", "--show", str(file)]
    device = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
