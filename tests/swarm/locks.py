"""Locks that the kernel releases when their process ends, however it does."""

import fcntl
from io import TextIOWrapper
from pathlib import Path

# Not in a folder of the user's: network namespaces and devices are the machine's.
FOLDER = Path("/run")


def lock(name: str) -> TextIOWrapper:
    """Wait for a lock; closing the returned file releases it."""
    file = _file(name)
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def try_lock(name: str) -> TextIOWrapper | None:
    """Take a lock; None while another has it."""
    file = _file(name)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _file(name: str) -> TextIOWrapper:
    # It stays: were it removed, two processes could hold the locks of two files of one name.
    return (FOLDER / f"{name}.lock").open("w")
