"""The login limit in a real NGINX: it slows down who guesses passwords, not the others behind the same address."""

import json
import select
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from urllib.parse import urlencode

import pytest
from docker.models.containers import Container

from tests.container.balancing import core, load_balancer, served_by
from tests.support.commands import logs
from tests.support.containers import Containers, gateway_of
from tests.support.http import PORT, Answer, ask
from tests.support.waiting import until

pytestmark = pytest.mark.container

JSON, FORM = "/api/auth/login", "/dhis-web-commons-security/login.action"
LOGINS = [
    JSON,
    "/api/42/auth/login",
    "/api/auth/login/",
    "/api/auth/login.json",
    "/api/%61uth/login",
    "/api/authentication/login",
    FORM,
    f"{FORM};jsessionid=1",
    "/dhis-web-commons/security/login.action",
]
BURST = 20  # logins as one user from one address that pass at once
FORM_TYPE = "application/x-www-form-urlencoded"
# What DHIS2 reads, or may read, as admin, with another user to be read instead: path, body, Content-Type.
SPELLINGS: dict[str, tuple[str, bytes, str]] = {
    "an escaped name": (JSON, b'{"username":"\\u0061dmin","n":"N"}', "application/json"),
    "an escaped key": (JSON, b'{"username":"uN","user\\u006eame":"admin"}', "application/json"),
    "two names": (JSON, b'{"username":"uN","username":"admin"}', "application/json"),
    "UTF-16": (JSON, '{"username":"admin","x":"'.encode("utf-16-be") + b'"username":"uN"', "application/json"),
    "another character set": (JSON, b'{"username":"uN"}', "application/json;charset=IBM037"),
    "no body": (JSON, b"", "application/json"),
    "a name in the address": (f"{FORM}?j_username=admin", b"j_username=uN", FORM_TYPE),
    "an encoded name": (FORM, b"j_username=%61dmin&n=N", FORM_TYPE),
    "an encoded parameter": (FORM, b"%6a_username=admin&j_username=uN", FORM_TYPE),
    "two parameters": (FORM, b"j_username=admin&j_username=uN", FORM_TYPE),
    "spaces around it": (FORM, b"j_username=admin+&n=N", FORM_TYPE),
    "JSON as a form": (FORM, b'{"username":"uN"}=1&j_username=admin', FORM_TYPE),
}
_numbers = count(1)


@pytest.fixture(scope="module")
def balancer(containers: Containers) -> Container:
    """A load balancer with one core. This machine is its trusted proxy, so a test's users can have any address."""
    only = core(containers, drops=True)
    gateway = gateway_of(containers.network)
    container = load_balancer(containers, trusted=(gateway,))
    until(lambda: served_by(containers.address(container), only), "the core to be resolved")
    return container


@pytest.fixture
def lb(containers: Containers, balancer: Container) -> str:
    """The address of the load balancer."""
    return containers.address(balancer)


@pytest.fixture
def office() -> str:
    """An address no other test logs in from."""
    return f"203.0.113.{next(_numbers)}"


def form_of(path: str, user: str, password: str) -> tuple[bytes, str]:
    """Return the body and the Content-Type that DHIS2's login page sends to a path."""
    if "login.action" in path:
        return urlencode({"j_username": user, "j_password": password}).encode(), FORM_TYPE
    return json.dumps({"username": user, "password": password}).encode(), "application/json"


def log_in(lb: str, office: str, user: str, path: str = JSON, password: str = "x") -> Answer:  # noqa: S107
    body, kind = form_of(path, user, password)
    return ask(lb, path, "POST", body, {"X-Forwarded-For": office, "Content-Type": kind})


def at_once(lb: str, office: str, users: list[str], path: str = JSON) -> Counter[int]:
    """Return how many of the logins, all sent at the same time, were answered with which status."""
    with ThreadPoolExecutor(100) as pool:
        return Counter(pool.map(lambda user: log_in(lb, office, user, path).status, users))


@pytest.mark.parametrize("path", LOGINS)
def test_guessing_a_password_is_slowed_down(lb: str, office: str, path: str) -> None:
    started = time.monotonic()
    passed = at_once(lb, office, ["admin"] * 120, path)[200]
    assert 0 < passed <= BURST + 2 + (time.monotonic() - started), "one guess a second"
    # Where the machine is slow, a second has passed: then one more login passes.
    refused = next(answer for _ in range(60) if (answer := log_in(lb, office, "admin", path)).status == 429)
    assert "retry-after" in refused.headers
    assert "Too many logins" in refused.json["message"], "the person learns why"
    assert log_in(lb, office, "another", path).status == 200, "an office shares an address"
    assert log_in(lb, f"198.51.100.{next(_numbers)}", "admin", path).status == 200, "the user is not locked out"
    assert ask(lb, path, headers={"X-Forwarded-For": office}).status == 200, "GET shows the form"
    assert ask(lb, "/api/dataValues", "POST", b"x", {"X-Forwarded-For": office}).status == 200, (
        "other work is not limited"
    )


def test_an_office_logs_in_while_someone_there_guesses_a_password(lb: str, office: str) -> None:
    with ThreadPoolExecutor(8) as guessers:
        guesses = [guessers.submit(log_in, lb, office, "admin") for _ in range(2000)]
        until(lambda: any(guess.done() and guess.result().status == 429 for guess in guesses), "the limit is reached")
        others = at_once(lb, office, [f"user-{number}" for number in range(30)])
        assert not guesses[-1].done(), "the guesses went on meanwhile"
    assert others == {200: 30}
    assert sum(guess.result().status == 200 for guess in guesses) < 100, "the guesser is slowed down"


def test_an_office_that_comes_to_work_logs_in(lb: str, office: str) -> None:
    assert at_once(lb, office, [f"user-{number}" for number in range(200)]) == {200: 200}


def test_one_password_for_many_users_is_slowed_down(lb: str, office: str) -> None:
    with ExitStack() as clients:
        for number in range(3000):
            client = clients.enter_context(socket.create_connection((lb, PORT), timeout=30))
            body, _ = form_of(JSON, f"user-{number}", "x")
            head = (
                f"POST {JSON} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {office}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            client.sendall(head.encode() + body)
            # Those that wait are answered later, and refused ones at once.
            if number > 600 and select.select([client], [], [], 0.02)[0]:
                break
        assert b" 429 " in client.recv(65536).splitlines()[0], "waiting has a limit, too"
    assert log_in(lb, f"198.51.100.{next(_numbers)}", "user").status == 200, "others are not affected"


@pytest.mark.parametrize(("path", "body", "kind"), SPELLINGS.values(), ids=SPELLINGS.keys())
def test_another_spelling_of_a_user_is_no_way_around_the_limit(
    lb: str, office: str, path: str, body: bytes, kind: str
) -> None:
    headers = {"X-Forwarded-For": office, "Content-Type": kind}
    bodies = [body.replace(b"N", str(number).encode()) for number in range(60)]
    assert 429 in [ask(lb, path, "POST", variant, headers).status for variant in bodies], "they count as one user"


@pytest.mark.parametrize("path", [JSON, FORM])
@pytest.mark.parametrize("user", ["john@example.org", "a.b-c_d9"])
def test_users_are_distinguished_whatever_their_names_and_passwords(lb: str, office: str, path: str, user: str) -> None:
    at_once(lb, office, [user] * 60, path)
    assert log_in(lb, office, user, path).status == 429
    assert log_in(lb, office, f"{user}x", path, 'Ünder&"j_username=%\\1').status == 200


@pytest.mark.parametrize("path", [JSON, FORM])
def test_a_login_reaches_a_core_unchanged(lb: str, office: str, path: str) -> None:
    body, _ = form_of(path, "admin", 'Ünder&"=%\\1')
    assert log_in(lb, office, "admin", f"/echo{path}", 'Ünder&"=%\\1').text == body.decode()


def test_a_login_is_logged_like_any_request(lb: str, balancer: Container, office: str) -> None:
    log_in(lb, office, "admin", password="not-in-the-log")  # noqa: S106
    until(lambda: office in logs(balancer), "the request is logged")
    assert "not-in-the-log" not in logs(balancer)
    line = json.loads(next(line for line in logs(balancer).splitlines() if office in line))
    assert (line["path"], line["status"], line["core_status"]) == (JSON, "200", "200")
    assert line["core"].endswith(f":{PORT}") and float(line["core_seconds"]) >= 0


def test_a_login_that_a_core_does_not_answer_is_not_sent_again(lb: str, office: str) -> None:
    answer = log_in(lb, office, "admin", f"/drop{JSON}")
    assert (answer.status, answer.json["httpStatusCode"]) == (502, 502)
    assert "did not answer" in answer.text


def test_without_a_core_a_login_is_refused_as_every_change_is() -> None:
    with Containers() as empty:
        answer = log_in(empty.address(load_balancer(empty)), "192.0.2.1", "admin")
    assert (answer.status, answer.json["httpStatusCode"]) == (503, 503), "it was not sent, so it may be sent again"
