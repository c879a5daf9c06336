"""An S3 server for repositories of backups: moto's, in this process and in memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from moto.server import ThreadedMotoServer

ACCESS_KEY, SECRET_KEY = "key", "secret"


@contextmanager
def s3_bucket(address: str) -> Iterator[str]:
    """Yield the address of a repository in a bucket of a server on `address`, which containers reach."""
    server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    server.start()
    url = f"http://{address}:{server.get_host_and_port()[1]}"
    try:
        assert requests.put(f"{url}/backups", timeout=10).ok
        yield f"s3:{url}/backups/stack"
    finally:
        # All servers of a process have the same buckets, and the next test its own password of the repository.
        assert requests.post(f"{url}/moto-api/reset", timeout=10).ok
        server.stop()
