"""Requests of the primary to the API of a core, by which `up` installs apps."""

import base64
import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from docker.models.containers import Container

from components.database.api import SCRIPT
from components.database.apps import DATABASE_UID, UPLOAD
from components.orchestrator.commands import write_file
from tests.container.databases import ADMIN_PASSWORD, Databases, until_healthy
from tests.support.app_hub import app_zip
from tests.support.commands import execute
from tests.support.containers import Containers, gateway_of

pytestmark = pytest.mark.container

TYPE = "multipart/form-data; boundary=x"


@dataclass
class Core:
    """A web server in the place of a core, where the containers of a network reach this machine."""

    host: str
    port: int = 0
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    # The command lines of the primary's processes during a request.
    processes: str = ""


@pytest.fixture(scope="module")
def databases(containers: Containers) -> Databases:
    return Databases(containers, containers.volume("dumps"))


@pytest.fixture(scope="module")
def primary(containers: Containers, databases: Databases) -> Container:
    container = databases.primary(containers.volume())
    until_healthy(container, "primary")
    return container


@pytest.fixture
def core(databases: Databases, primary: Container) -> Iterator[Core]:
    core = Core(gateway_of(databases.network))

    class Handler(http.server.BaseHTTPRequestHandler):
        def _respond(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            core.requests.append((self.requestline, dict(self.headers.items()), body))
            table: Any = primary.top(ps_args="-o pid,args")
            core.processes = str(table["Processes"])
            if self.path == "/silent":
                time.sleep(3)
                return
            self.send_response(http.HTTPStatus.CREATED)
            self.end_headers()
            self.wfile.write(b'{"key":"App"}')

        do_GET = do_POST = _respond

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing: `requests` has it."""

    server = http.server.ThreadingHTTPServer((core.host, 0), Handler)
    core.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield core
    server.shutdown()
    server.server_close()
    thread.join()


def api(primary: Container, core: Core, password: str, seconds: int, *request: str) -> tuple[int, str]:
    return execute(primary, "/bin/bash", SCRIPT, core.host, str(core.port), password, str(seconds), *request)


def test_a_request_is_made_as_admin_and_its_response_is_printed_whole(primary: Container, core: Core) -> None:
    code, output = api(primary, core, "setting", 30, "GET", "/api/apps")
    assert code == 0 and output.startswith("HTTP/1.0 201 ") and output.endswith('\r\n\r\n{"key":"App"}')
    (line, headers, body), *_ = core.requests
    assert line == "GET /api/apps HTTP/1.0" and body == b"" and "Content-Type" not in headers
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == f"admin:{ADMIN_PASSWORD}"
    api(primary, core, "default", 30, "GET", "/api/apps")
    assert base64.b64decode(core.requests[1][1]["Authorization"].removeprefix("Basic ")) == b"admin:district"


def test_a_file_is_sent_as_it_is_and_removed(containers: Containers, primary: Container, core: Core) -> None:
    content = app_zip("App", "1", page="\0\r\n" * 2**20)
    write_file(containers.client, str(primary.name), UPLOAD, content, DATABASE_UID)
    assert api(primary, core, "setting", 30, "POST", "/api/apps", UPLOAD, TYPE)[1].startswith("HTTP/1.0 201 ")
    ((line, headers, body),) = core.requests
    assert line == "POST /api/apps HTTP/1.0" and headers["Content-Type"] == TYPE
    assert body == content
    assert execute(primary, "test", "-e", UPLOAD)[0] == 1, "the volume has no room for each of them"


def test_the_password_is_on_no_command_line(primary: Container, core: Core) -> None:
    api(primary, core, "setting", 30, "GET", "/api/apps")
    assert "api.sh" in core.processes and ADMIN_PASSWORD not in core.processes


def test_nothing_is_printed_without_an_answer(primary: Container, core: Core) -> None:
    assert api(primary, core, "setting", 1, "GET", "/silent") == (0, "")
    assert api(primary, Core(core.host, 1), "setting", 1, "GET", "/api/apps") == (0, "")
