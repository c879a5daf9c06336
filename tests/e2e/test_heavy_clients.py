"""Clients that take more than their share of a deployed stack: the requests of others are served."""

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.e2e.conftest import MakeStack
from tests.support.containers import address
from tests.support.durations import Took
from tests.support.http import PORT
from tests.support.load import Load, reads
from tests.support.stack import Stack, log_in
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.simulator]

IDLE, SLOW = 10_000, 50
UPLOAD_BYTES = 100_000_000


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, dumps: str) -> Stack:
    """Deploy one core, which has to serve all of them."""
    largest = {"max.file_upload_size": str(2 * UPLOAD_BYTES)}  # DHIS2's default is a tenth of it
    stack = make_stack(cores=1, replicas=0, dumpUrl=f"{dumps}/small.sql.gz", dhisConf=largest)
    stack.up()
    return stack


@pytest.fixture
def session(stack: Stack) -> httpx.Cookies:
    """Return the cookies of a user who has logged in."""
    return log_in(stack)


@contextmanager
def others(stack: Stack, session: httpx.Cookies) -> Iterator[Load]:
    """Send requests of others while the context is open, and assert that none fails."""
    with Load(f"http://127.0.0.1:{stack.port}", session, choose=reads, clients=4) as load:
        until(lambda: load.answered() > 20, "some requests before")
        yield load
        answered = load.answered()
        until(lambda: load.answered() > answered + 20, "some requests after")
    assert not load.failures, f"requests of others failed: {dict(load.failures)}: {load.first_failure}"
    assert stack.container("lb").attrs["RestartCount"] == stack.container("core-1").attrs["RestartCount"] == 0


@pytest.fixture(scope="module")
def lb(stack: Stack) -> str:
    """Return the address of the load balancer, reached without Docker Engine's proxy for published ports."""
    return address(stack.container("lb"), stack.docker.networks.get(f"{stack.prefix}-edge"))


def connect(lb: str) -> socket.socket:
    """Return a connection to the load balancer."""
    return socket.create_connection((lb, PORT), timeout=60)


def cookie(session: httpx.Cookies) -> str:
    """Return the header that has the cookies."""
    return "Cookie: " + "; ".join(f"{name}={value}" for name, value in session.items())


def test_an_upload_of_100_mb_leaves_the_requests_of_others_unaffected(
    stack: Stack, session: httpx.Cookies, took: Took
) -> None:
    file = ("big.bin", b"x" * UPLOAD_BYTES)
    with others(stack, session) as load, stack.client(cookies=session) as client:
        answered = load.answered()
        with took("an upload of 100 MB"):
            upload = client.post("/api/fileResources", files={"file": file}, timeout=120)
        assert upload.is_success, upload.text
        assert load.answered() > answered, "others are served meanwhile"


def test_slow_clients_leave_the_requests_of_others_unaffected(stack: Stack, lb: str, session: httpx.Cookies) -> None:
    with others(stack, session) as load, ExitStack() as clients:
        slow = [clients.enter_context(connect(lb)) for _ in range(SLOW)]
        for number, client in enumerate(slow):
            path = f"/api/userDataStore/slow/key{number}"
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{cookie(session)}\r\nContent-Type: application/json\r\n"
            client.sendall(f"{head}Content-Length: 4\r\n\r\n".encode())
        for byte in b"true":
            answered = load.answered()
            until(lambda answered=answered: load.answered() > answered + 20, "others to be served")  # type: ignore[misc]
            time.sleep(1)  # as slow as they are
            for client in slow:
                client.sendall(bytes([byte]))
        answers = [client.recv(65536).splitlines()[0] for client in slow]
    assert all(b" 201 " in answer for answer in answers), f"being slow is no fault: {answers}"


def test_idle_connections_leave_the_requests_of_others_unaffected(
    stack: Stack, lb: str, session: httpx.Cookies
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= IDLE + 500, f"this machine lets a process open {hard} files, too few for {IDLE} connections"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, IDLE + 500), hard))
    with ExitStack() as idle, others(stack, session) as load:
        for _ in range(IDLE):
            idle.enter_context(connect(lb))
        answered = load.answered()
        until(lambda: load.answered() > answered + 50, "others to be served")
        stack.wait_healthy("lb")


@pytest.mark.parametrize("size", [20_000, 200_000])
def test_oversized_headers_leave_the_requests_of_others_unaffected(
    stack: Stack, lb: str, session: httpx.Cookies, size: int
) -> None:
    with others(stack, session), connect(lb) as client:
        client.sendall(f"GET /api/ping HTTP/1.1\r\nHost: x\r\nX-Big: {'x' * size}\r\n\r\n".encode())
        status = client.recv(65536).split(b" ")[1]
    assert status == (b"200" if size < 32_000 else b"400"), "long filters are DHIS2's way, and there is an end to it"
