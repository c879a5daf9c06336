"""Dumps for tests of the restore."""

import gzip
import uuid
from pathlib import Path

from offline.dump.__main__ import write
from offline.dump.sample import Size, sample
from offline.dump.writer import Style


def write_small(path: Path) -> None:
    """Write a dump with a few rows of each table."""
    write(path, sample(Size(rows=2000, tracked=20), Style(owner=None, clean=False)))


def unique(dump: bytes) -> bytes:
    """Return a gzip'd dump whose content no other restore on this machine had: no copy in the dump cache is its own."""
    return gzip.compress(f"-- {uuid.uuid4()}\n".encode()) + dump
