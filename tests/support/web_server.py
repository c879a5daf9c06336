"""A web server with the files of a folder."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the logs of the containers are enough."""


@contextmanager
def served(folder: Path, address: str) -> Iterator[str]:
    """Yield the URL of the server, on an address of this machine that containers reach."""
    server = http.server.ThreadingHTTPServer((address, 0), functools.partial(_Silent, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://{address}:{server.server_port}"
    server.shutdown()
    thread.join()
