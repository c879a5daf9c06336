"""Ports of this machine for servers of tests."""

import errno
import secrets
import socket
from contextlib import suppress

LOOPBACK = "127.0.0.1"
# Below the ports that kernels give to outgoing connections and to published ports without a number: one of those is
# often taken again before the server of a test listens on it. Above those that are registered for many services.
FIRST, LAST = 20_000, 31_999


def free_port(address: str = LOOPBACK) -> int:
    """Return a port of an address that nothing listens on now; a test may listen on it much later.

    Raises OSError where the address is not one of this machine.
    """
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST + 1)
        try:
            with socket.socket() as probe:
                probe.bind((address, port))
                return port
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise


def listens(address: str, port: int) -> bool:
    """Return whether something listens on a port."""
    with suppress(OSError), socket.create_connection((address, port), timeout=1):
        return True
    return False
