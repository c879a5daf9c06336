"""The load balancer's files in a real NGINX: what users, programs and attackers get from it."""

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from docker.models.containers import Container

from components.load_balancer.load_balancer import nginx_conf
from components.orchestrator.container_paths import FILES
from tests.container.balancing import core, load_balancer, served_by
from tests.support.commands import execute, logs, shell_output
from tests.support.containers import Containers
from tests.support.http import ask
from tests.support.project import NGINX
from tests.support.waiting import until

pytestmark = pytest.mark.container

IDLE = 10_000
SLOW = 50
LONG = "x" * 2000
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
def only(containers: Containers) -> Container:
    """The core behind the load balancer."""
    return core(containers)


@pytest.fixture(scope="module")
def balancer(containers: Containers, only: Container) -> Container:
    """A load balancer with one core."""
    container = load_balancer(containers)
    until(lambda: served_by(containers.address(container), only), "the core is found")
    return container


@pytest.fixture
def lb(containers: Containers, balancer: Container) -> str:
    """The address of the load balancer with one core."""
    return containers.address(balancer)


@pytest.fixture(scope="module")
def lonely() -> Iterator[str]:
    """The address of a load balancer without any core."""
    with Containers() as empty:
        yield empty.address(load_balancer(empty))


@pytest.mark.parametrize("settings_cached", [False, True])
@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8", "192.168.0.0/16", "2001:db8::/32")])
def test_nginx_accepts_the_configuration(
    containers: Containers, trusted: tuple[str, ...], settings_cached: bool
) -> None:
    text = nginx_conf("core:8080", "https://dhis2.example.org", trusted, settings_cached=settings_cached)
    files = {"/n.conf": text, "/tmp/status.conf": "# no figures"}  # noqa: S108 - a path in the container
    container = containers.start(NGINX, "sleep", "60", files=files, user="101:101")
    code, output = execute(container, "nginx", "-t", "-c", "/n.conf")
    assert code == 0, f"NGINX itself is the evaluate: {output}"
    assert "[warn]" not in output, "a warning is a defect waiting to happen"


@pytest.mark.parametrize(
    ("path", "headers", "kind"),
    [
        ("/", BROWSER, "text/html"),
        ("/dhis-web-dashboard/?a=/api/", BROWSER, "text/html"),
        ("/", {}, "text/html"),
        ("/api/me", BROWSER, "application/json"),
        ("/api/42/me?fields=id", {}, "application/json"),
        ("/anything", {"Accept": "application/json"}, "application/json"),
    ],
)
def test_without_a_core_dhis2_is_starting(lonely: str, path: str, headers: dict[str, str], kind: str) -> None:
    status, got, text = ask(lonely, path, headers=headers)
    assert status == 503, "an error, so that no program takes it for the page it wanted"
    assert got["content-type"].partition(";")[0] == kind, "people get a page and programs JSON"
    assert int(got["retry-after"]) > 0, "programs know when to ask again"
    assert got["cache-control"] == "no-store", "no browser keeps it"
    assert "DHIS2 is starting" in text, "it says what to wait for"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_without_a_core_a_change_is_refused_in_the_same_way(lonely: str, method: str) -> None:
    status, got, text = ask(lonely, "/api/dataValues", method, b"{}")
    assert (status, json.loads(text)["httpStatusCode"]) == (503, 503), "it was not sent, so it may be sent again"
    assert "retry-after" in got, "programs know when"


def test_without_a_core_head_has_no_body(lonely: str) -> None:
    status, got, text = ask(lonely, "/", "HEAD")
    assert (status, text) == (503, ""), "HEAD is what monitoring asks with"
    assert "retry-after" in got, "its headers are those of GET"


def test_websockets_pass(lb: str) -> None:
    received = json.loads(ask(lb, "/", headers={"Upgrade": "websocket", "Connection": "Upgrade"})[2])
    assert received["upgrade"] == "websocket upgrade", "the core has to see the wish"


def test_a_big_upload_passes_while_others_are_answered(lb: str) -> None:
    with socket.create_connection((lb, 8080), timeout=30) as client:
        client.sendall(b"POST /api/apps HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(10):
            client.sendall(b"x" * 10_000_000)
            assert ask(lb, "/", seconds=5)[0] == 200, "other requests do not wait for it"
        answer = client.recv(65536)
    assert b" 200 " in answer.splitlines()[0], f"apps and imports are tens of megabytes: {answer!r}"
    assert b'"size":"100000000"' in answer, "it arrives whole"


def test_a_bigger_upload_is_refused_in_words(lb: str) -> None:
    with socket.create_connection((lb, 8080), timeout=30) as client:
        client.sendall(b"POST /api/apps HTTP/1.1\r\nHost: x\r\nContent-Length: 300000000\r\n\r\n")
        refused = client.recv(65536)
    assert b" 413 " in refused.splitlines()[0], "it is refused before it is sent"
    assert b"larger than 200 MB" in refused, "the person learns why"


@pytest.mark.parametrize(
    ("path", "packed"),
    [(f"/list.json?{LONG}", True), ("/short.json", False), (f"/picture.png?{LONG}", False)],
    ids=["long", "short", "picture"],
)
def test_what_gains_from_it_is_sent_packed(lb: str, path: str, packed: bool) -> None:
    answer = httpx.get(f"http://{lb}:8080{path}", headers={"Accept-Encoding": "gzip"})
    assert answer.headers.get("content-encoding") == ("gzip" if packed else None), "lists shrink, pictures do not"
    assert answer.json()["uri"] == path, "it is the same when unpacked"
    plain = httpx.get(f"http://{lb}:8080{path}", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers, "only for those who ask"
    assert plain.headers.get("vary") == ("Accept-Encoding" if packed else None), "a cache between must know"


def test_an_answer_of_dhis2_is_left_alone(lb: str) -> None:
    status, got, text = ask(lb, "/missing")
    assert (status, json.loads(text)) == (404, {"httpStatusCode": 404}), "apps read the body of an error"
    assert got["x-content-type-options"] == "nosniff", "set where DHIS2 has not"
    assert "/" not in got["server"], "no version for attackers"


def test_a_stop_loses_no_line_of_the_log(containers: Containers) -> None:
    leaving = load_balancer(containers)
    status = ask(containers.address(leaving), "/last-words")[0]
    leaving.stop()
    assert f'"path":"/last-words","status":"{status}"' in logs(leaving), "lines are written several at a time"


def test_query_strings_are_in_no_log(lb: str, balancer: Container) -> None:
    ask(lb, "/api/account/restore?token=hidden-one")
    ask(lb, "/drop?token=hidden-two")
    until(lambda: "/api/account/restore" in logs(balancer), "the request is logged")
    assert "hidden" not in logs(balancer), "tokens in logs are tokens given away"
    line = next(line for line in logs(balancer).splitlines() if "/api/account/restore" in line)
    assert json.loads(line)["status"] == "200", "each line is JSON"


def test_the_private_port_is_private(containers: Containers, lb: str, balancer: Container) -> None:
    assert ask(lb, "/status", port=8081)[0] == 0, "it is not served to the network"
    if "stub_status" not in shell_output(balancer, "nginx -V 2>&1"):
        pytest.skip("this NGINX is built without stub_status: that nothing listens is all that was checked")
    assert "Active connections" in shell_output(balancer, "curl -s http://127.0.0.1:8081/status")


def test_oversized_headers_leave_other_requests_unaffected(lb: str) -> None:
    assert ask(lb, "/", headers={"X-Big": "x" * 20_000})[0] == 200, "long filters are DHIS2's way"
    assert ask(lb, "/", headers={"X-Big": "x" * 200_000})[0] in (0, 400, 431, 494), "there is an end to it"
    assert ask(lb, "/")[0] == 200, "others are served"


def test_slow_clients_cost_no_core_and_delay_no_other_request(lb: str, only: Container) -> None:
    with ExitStack() as clients:
        slow = [clients.enter_context(socket.create_connection((lb, 8080), timeout=30)) for _ in range(SLOW)]
        for client in slow:
            client.sendall(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
        for _ in range(3):
            for client in slow:
                client.sendall(b"x")
            assert ask(lb, "/", seconds=5)[0] == 200, "others are served"
            time.sleep(1)  # as slow as they are
        assert "/slow" not in logs(only), "a core hears of an upload when it is there"
        for client in slow:
            client.sendall(b"x")
        answers = [client.recv(65536).splitlines()[0] for client in slow]
    assert all(b" 200 " in answer for answer in answers), f"being slow is no fault: {answers}"


def test_idle_connections_leave_other_requests_unaffected(lb: str, balancer: Container) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE + 500:
        pytest.skip(f"this machine lets a process open {hard} files, too few for {IDLE} connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, IDLE + 500), hard))
    with ExitStack() as idle:
        for _ in range(IDLE):
            idle.enter_context(socket.create_connection((lb, 8080), timeout=30))
        assert ask(lb, "/")[0] == 200, "people with a real request are served"
        assert execute(balancer, "curl", "-fs", "http://127.0.0.1:8080/lb/health")[0] == 0, "it is not restarted"


def test_the_files_lie_where_the_configuration_looks(balancer: Container) -> None:
    assert shell_output(balancer, f"ls {FILES}/pages").split() == ["starting.html", "starting.json"]
