"""A dump that is fetched or restored while its container is killed: the step begins again, and no database is healthy
before all rows are there."""

import gzip
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from offline.dump.__main__ import write
from offline.dump.sample import Size, sample
from offline.dump.writer import Style
from tests.e2e.conftest import MakeStack
from tests.e2e.processes import kill
from tests.e2e.runs import RunningUp
from tests.support.dumps import unique
from tests.support.durations import Took
from tests.support.stack import ADMIN, Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.long, pytest.mark.simulator]

ROWS = 20_000
COUNT = "SELECT count(*) FROM datavalue"


class HalfDump(http.server.ThreadingHTTPServer):
    """A web server with one dump, of which it sends the second half only once it is `released`."""

    def __init__(self, address: str, dump: bytes) -> None:
        self.dump, self.half_sent, self.released = dump, threading.Event(), threading.Event()
        super().__init__((address, 0), _Handler)

    @property
    def url(self) -> str:
        """Where containers fetch it."""
        return f"http://{self.server_address[0]!s}:{self.server_port}/dump.sql.gz"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: HalfDump

    def do_GET(self) -> None:
        dump = self.server.dump
        self.send_response(200)
        self.send_header("Content-Length", str(len(dump)))
        self.end_headers()
        self.wfile.write(dump[: len(dump) // 2])
        self.server.half_sent.set()
        self.server.released.wait()
        self.wfile.write(dump[len(dump) // 2 :])

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the logs of the containers are enough."""


@pytest.fixture
def dump(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a dump that takes seconds to restore, and of which the dump cache has no copy."""
    file: Path = tmp_path_factory.mktemp("dump") / "dump.sql.gz"
    write(file, sample(Size(rows=ROWS, tracked=20), Style(owner=None, clean=False)))
    return unique(file.read_bytes())


@pytest.fixture
def rows(dump: bytes) -> str:
    """Return how many rows of data the dump has."""
    table = gzip.decompress(dump).decode().partition("COPY public.datavalue ")[2].partition("\n\\.\n")[0]
    return str(table.count("\n"))


@pytest.fixture
def server(dumps: str, dump: bytes) -> Iterator[HalfDump]:
    """Return a web server that keeps the second half of the dump back."""
    server = HalfDump(str(httpx.URL(dumps).host), dump)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def begun(stack: Stack) -> int:
    """Return how often the primary has begun to restore the dump."""
    return len(re.findall(r"^restoring .* jobs$", stack.log("primary"), re.MULTILINE))


def completes(stack: Stack, rows: str) -> None:
    """Assert that an `up` completes with all rows, and that users can log in."""
    stack.up()
    assert stack.sql(COUNT) == rows
    with stack.client(auth=ADMIN) as client:
        assert client.get("/api/me").status_code == 200
    assert stack.changes() == {}


def test_a_download_that_is_killed_begins_again(make_stack: MakeStack, server: HalfDump, rows: str, took: Took) -> None:
    stack = make_stack(cores=1, replicas=0, dumpUrl=server.url)
    with RunningUp(stack) as up:
        until(server.half_sent.is_set, "half of the dump to be sent", too_late=up.exited)
        kill(stack, "dump")
        assert up.code() != 0, "without its dump there is no database"
        assert "exited with code 137" in up.text, f"the cause is missing:\n{up.text}"
    assert "core-1" not in stack.containers(), "no core starts without the database"
    server.released.set()
    with took("the next up, after a killed download"):
        completes(stack, rows)


def test_a_restore_that_is_killed_begins_again(make_stack: MakeStack, server: HalfDump, rows: str, took: Took) -> None:
    server.released.set()
    stack = make_stack(cores=1, replicas=0, dumpUrl=server.url)
    with RunningUp(stack) as up:
        until(lambda: "primary" in stack.containers(), "the primary to be created", too_late=up.exited)
        until(lambda: begun(stack), "the restore to begin", too_late=up.exited)
        kill(stack, "primary")
        while not up.exited():
            assert not stack.is_healthy("primary") or stack.sql(COUNT) == rows, "half of a database is healthy"
        up.code()
    with took("the next up, after a killed restore"):
        completes(stack, rows)
    assert begun(stack) == 2, "the restore began again"
