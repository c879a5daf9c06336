"""Fake servers around an ACME client: a DNS provider, and a CA that limits its rate."""

import base64
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.certificates import Authority
from tests.support.pebble.server import Pebble


@contextmanager
def dns_provider(address: str, ca: Pebble) -> Iterator[tuple[str, list[str]]]:
    """Yield the endpoint of a DNS provider, which passes records on to Pebble's DNS server, and its passwords."""
    passwords: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Set or clear a TXT record, as lego's provider httpreq wants it."""
            record = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            passwords.append(_password(self.headers["Authorization"]))
            action = "set-txt" if self.path == "/present" else "clear-txt"
            ca.answer(action, host=record["fqdn"], value=record["value"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with serving(address, Handler) as server:
        yield f"http://{address}:{server.server_port}", passwords


@contextmanager
def limited(address: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield directory and root certificate of a CA that refuses every order for its rate limit."""
    authority = Authority("limited")
    certificate, key = authority.issue(address)
    (folder / "server.pem").write_text(certificate + key)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            """Give a nonce."""
            self._respond(200, {})

        def do_GET(self) -> None:
            """Give the directory."""
            root = f"https://{self.headers['Host']}"
            names = ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")
            self._respond(200, {name: f"{root}/{name}" for name in names})

        def do_POST(self) -> None:
            """Refuse."""
            self.rfile.read(int(self.headers["Content-Length"]))
            detail = "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s"
            self._respond(429, {"type": "urn:ietf:params:acme:error:rateLimited", "detail": detail, "status": 429})

        def _respond(self, status: int, content: dict[str, object]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Replay-Nonce", "bm9uY2U")
            self.send_header("Content-Type", "application/problem+json" if status >= 400 else "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with serving(address, Handler, folder / "server.pem") as server:
        yield f"https://{address}:{server.server_port}/dir", authority.root


@contextmanager
def serving(
    address: str, handler: type[http.server.BaseHTTPRequestHandler], pem: Path | None = None
) -> Iterator[http.server.ThreadingHTTPServer]:
    """Yield a web server; with `pem` it speaks https."""
    server = http.server.ThreadingHTTPServer((address, 0), handler)
    if pem:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()


def _password(authorization: str) -> str:
    return base64.b64decode(authorization.partition(" ")[2]).decode().partition(":")[2]
