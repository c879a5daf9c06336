"""Command: python -m tests.swarm.resolver ADDRESS. A DNS server that answers NXDOMAIN to every question, at once.

Docker's own DNS server passes on what it does not know. Where nothing answers, the asking container waits out its
resolver's timeout (5 s for each name).
"""

import socket
import sys

HEADER_BYTES = 12
LARGEST = 4096
# A response with recursion, RCODE 3; then one question, as asked, and no records.
NXDOMAIN, COUNTS = b"\x81\x83", b"\x00\x01" + 6 * b"\x00"


def answer(query: bytes) -> bytes:
    """Return the answer to a query; empty for what is none. RFC 1035, section 4."""
    end = HEADER_BYTES
    while end < len(query) and query[end]:
        end += 1 + query[end]
    question = query[HEADER_BYTES : end + 5]
    return query[:2] + NXDOMAIN + COUNTS + question if len(query) >= end + 5 else b""


def serve(address: str) -> None:
    """Answer until the process is killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        while True:
            query, client = server.recvfrom(LARGEST)
            if response := answer(query):
                server.sendto(response, client)


if __name__ == "__main__":
    serve(sys.argv[1])
