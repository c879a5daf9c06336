"""Ports of this machine for servers of tests."""

import secrets
import socket
from contextlib import suppress

LOOPBACK = "127.0.0.1"
# Below the ports that kernels give to outgoing connections and to published ports without a number: one of those is
# often taken again before the server of a test listens on it. Above those that are registered for many services.
FIRST, LAST = 20_000, 31_999


def free_port(address: str = LOOPBACK) -> int:
    """Return a port of an address that nothing listens on now; a test may listen on it much later."""
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST + 1)
        with suppress(OSError), socket.socket() as probe:
            probe.bind((address, port))
            return port


def listens(address: str, port: int) -> bool:
    """Return whether something listens on a port."""
    with suppress(OSError), socket.create_connection((address, port), timeout=1):
        return True
    return False
