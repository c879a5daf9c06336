"""Commands in containers: the whole output, however the answer of Docker Engine is cut into packets."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import docker
import pytest
from docker.errors import APIError
from requests.exceptions import RequestException

from components.orchestrator.commands import NOT_RUNNING, execute, marker_of, read_service_log

HELLO = b"\x01\x00\x00\x00\x00\x00\x00\x06hello\n"
ENDLESS_SECONDS = 10
ERROR = b"\x02\x00\x00\x00\x00\x00\x00\x05 oh \n"


class _Engine(BaseHTTPRequestHandler):
    """A Docker Engine that sends an output together with the headers of its response, as fast ones do."""

    protocol_version = "HTTP/1.1"
    frames = b""
    code: int | None = 0
    refused = 0
    stalls = threading.Event()  # until it is set, a log does not end

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/exec"):
            self._answer(201, {"Id": "1"})
        elif self.refused:
            self._answer(self.refused, {"message": "container is not running"})
        else:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
            self.wfile.write(head + self.frames)
            self.close_connection = True

    def do_GET(self) -> None:
        if not self.path.partition("?")[0].endswith("/logs"):
            self._answer(200, {"ExitCode": self.code})
        elif self.refused:
            self._answer(self.refused, {"message": "service x not found"})
        else:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\r\n")
            self.wfile.write(self.frames)
            self.wfile.flush()
            self.close_connection = True
            self.stalls.wait(ENDLESS_SECONDS)

    def _answer(self, status: int, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def engine() -> Iterator[tuple[type[_Engine], docker.DockerClient]]:
    """A Docker Engine, and a client of it."""

    class Engine(_Engine):
        stalls = threading.Event()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = docker.DockerClient(base_url=f"tcp://127.0.0.1:{server.server_port}", version="1.41", timeout=10)
    yield Engine, client
    Engine.stalls.set()
    client.close()  # type: ignore[no-untyped-call]
    server.shutdown()
    server.server_close()


def test_an_output_that_arrives_with_the_headers_is_not_lost(
    engine: tuple[type[_Engine], docker.DockerClient],
) -> None:
    handler, client = engine
    handler.frames, handler.code = HELLO + ERROR, 3
    assert execute(client, "core-1", ["echo"]) == (3, "hello\n oh \n")


def test_a_command_that_ended_with_its_container_has_no_exit_code_of_its_own(
    engine: tuple[type[_Engine], docker.DockerClient],
) -> None:
    handler, client = engine
    handler.code = None
    assert execute(client, "core-1", ["sleep"]) == (NOT_RUNNING, "")


def test_a_container_that_does_not_run_is_an_api_error_with_its_reason(
    engine: tuple[type[_Engine], docker.DockerClient],
) -> None:
    handler, client = engine
    handler.refused = 409
    with pytest.raises(APIError, match="container is not running"):
        execute(client, "core-1", ["echo"])


def test_the_log_of_a_service_ends_with_an_error_where_a_node_does_not_answer(
    engine: tuple[type[_Engine], docker.DockerClient],
) -> None:
    handler, client = engine
    handler.frames = HELLO
    pieces = read_service_log(client, "x", tail="all", timeout_seconds=0.2)
    assert next(pieces) == b"hello\n"
    with pytest.raises(RequestException, match="timed out"):
        next(pieces)
    handler.stalls.set()
    assert b"".join(read_service_log(client, "x", tail="all", timeout_seconds=5)) == b"hello\n"


def test_the_log_of_a_service_that_is_not_there_is_an_api_error(
    engine: tuple[type[_Engine], docker.DockerClient],
) -> None:
    handler, client = engine
    handler.refused = 404
    with pytest.raises(APIError, match="service x not found"):
        next(read_service_log(client, "x", tail="all", timeout_seconds=5))


def test_a_marker_is_read_by_its_lines_with_a_key() -> None:
    assert marker_of("restored_at=1\nno key\ndump_name=a=b\n") == {"restored_at": "1", "dump_name": "a=b"}
    assert marker_of(None) == {}
