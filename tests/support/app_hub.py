"""A fake App Hub, whose address goes into dhis.conf as `apphub.api.url`, and zip files with apps."""

import http.server
import io
import json
import threading
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


def app_zip(name: str, version: str, page: str = "", folder: str = "", **manifest: object) -> bytes:
    """Return a zip file with an app whose index.html is `page`, by default its version."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{folder}manifest.webapp", json.dumps({"name": name, "version": version, **manifest}))
        archive.writestr(f"{folder}index.html", page or version)
    return buffer.getvalue()


@dataclass
class AppHub:
    """The apps of an App Hub, what else it serves by path, and the paths it was asked for."""

    address: str = ""
    apps: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def add(self, name: str, *versions: str, oldest: str = "2.38", newest: str = "", has_id: bool = True) -> str:
        """Add an app with these versions, the id in their manifests or not, and return the id."""
        hub_id = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
        self.apps[hub_id] = {"id": hub_id, "name": name, "versions": []}
        for version in versions:
            path = f"/api/v2/apps/{hub_id}/download/{name.lower()}_{version}.zip"
            self.files[path] = app_zip(name, version, **({"app_hub_id": hub_id} if has_id else {}))
            self.apps[hub_id]["versions"].append(
                {
                    "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name} {version}")),
                    "version": version,
                    "channel": "stable",
                    "minDhisVersion": oldest,
                    "maxDhisVersion": newest,
                    "downloadUrl": self.address + path,
                }
            )
        return hub_id

    def respond(self, path: str) -> bytes | None:
        """Return what is at a path; None for nothing."""
        self.asked.append(path)
        *_, kind, name = path.split("/")
        if path in self.files:
            return self.files[path]
        if kind == "appVersions":
            versions = (version for app in self.apps.values() for version in app["versions"] if version["id"] == name)
            found = next(versions, None)
            return json.dumps(found).encode() if found else None
        return json.dumps(self.apps[name]).encode() if kind == "apps" and name in self.apps else None


@contextmanager
def serve(host: str) -> Iterator[AppHub]:
    """Serve an App Hub on a port of this machine's address `host`."""
    hub = AppHub()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = hub.respond(self.path)
            self.send_response(http.HTTPStatus.NOT_FOUND if content is None else http.HTTPStatus.OK)
            body = b'{"statusCode":404,"error":"Not Found"}' if content is None else content
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing: `asked` has it."""

    server = http.server.ThreadingHTTPServer((host, 0), Handler)
    hub.address = f"http://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
