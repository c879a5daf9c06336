"""Dumps for tests of the restore."""

import gzip
import uuid


def unique(dump: bytes) -> bytes:
    """Return a gzip'd dump whose content no other restore on this machine had: no copy in the dump cache is its own."""
    return gzip.compress(f"-- {uuid.uuid4()}\n".encode()) + dump
