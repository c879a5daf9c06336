"""A registry on this machine with one image of Docker Engine, which pulls from it by tag and by digest."""

import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from docker import DockerClient
from docker.errors import ImageNotFound

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"  # Docker Engine recognises one that is not compressed


@dataclass(frozen=True)
class Published:
    """An image in a registry: its name there with a tag, and the digest of its manifest."""

    tagged: str
    digest: str

    @property
    def pinned(self) -> str:
        """The name with tag and digest."""
        return f"{self.tagged}@{self.digest}"


@contextmanager
def registry(client: DockerClient, image: str, name: str = "pinned", tag: str = "1") -> Iterator[Published]:
    """Serve an image of Docker Engine under a name and tag. At the end Docker Engine forgets both."""
    blobs: dict[str, tuple[str, bytes]] = {}

    def stored(kind: str, content: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        blobs[digest] = (kind, content)
        return {"mediaType": kind, "size": len(content), "digest": digest}

    with tarfile.open(fileobj=io.BytesIO(b"".join(client.images.get(image).save()))) as saved:
        files = {member.name: file.read() for member in saved if (file := saved.extractfile(member))}
    (listed,) = json.loads(files["manifest.json"])
    parts: dict[str, Any] = {"config": stored(CONFIG, files[listed["Config"]])}
    parts["layers"] = [stored(LAYER, files[layer]) for layer in listed["Layers"]]
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, **parts}).encode()
    digest = str(stored(MANIFEST, manifest)["digest"])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler({**blobs, tag: blobs[digest]}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    published = Published(f"127.0.0.1:{server.server_port}/{name}:{tag}", digest)
    try:
        yield published
    finally:
        server.shutdown()
        # By reference: the image is also the one of Docker Engine.
        for reference in (published.tagged, f"{published.tagged.rpartition(':')[0]}@{published.digest}"):
            with suppress(ImageNotFound):
                client.images.remove(reference)


def _handler(blobs: dict[str, tuple[str, bytes]]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            last = self.path.rpartition("/")[2]
            kind, content = ("text/plain", b"") if self.path == "/v2/" else blobs.get(last, ("", b""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", kind or "application/json")
            self.send_header("Content-Length", str(len(content)))
            if kind == MANIFEST:
                self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(content).hexdigest()}")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    return Handler
