"""A stack at https: with a certificate of a CA, Pebble, and with its own one."""

import json
import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from cryptography import x509

from tests.e2e.conftest import MakeStack
from tests.support.certificates import Authority
from tests.support.chromium import page
from tests.support.load import Load
from tests.support.pebble.server import Pebble
from tests.support.ports import free_port
from tests.support.project import LEGO
from tests.support.stack import ADMIN, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.simulator]

BLOCKED, HOST = "blocked.example.org", "dhis2.example.org"
OWN = Authority("Own")
HTTP_PORT, HTTPS_PORT = free_port(), free_port()


@pytest.fixture(scope="module")
def ca(gateway: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    """A CA that finds the stack's port 80 at the port it publishes."""
    folder = tmp_path_factory.mktemp("pebble")
    with Pebble(folder, gateway, resolves_to="127.0.0.1", http_port=HTTP_PORT, blocked=(BLOCKED,)) as pebble:
        yield pebble


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, ca: Pebble) -> Stack:
    """A stack that is not deployed yet, for a host name that the CA refuses."""
    acme = {"acmeServer": ca.url, "acmeServerCertificate": ca.root, "acmeEmail": "me@example.org", "acmeImage": LEGO}
    ports = {"port": HTTP_PORT, "httpsPort": HTTPS_PORT}
    return make_stack(cores=1, replicas=0, dumpUrl="none", tls="acme", hostname=BLOCKED, **acme, **ports)


def client(root: str) -> httpx.Client:
    """Return a client that trusts one root certificate, and takes the stack for HOST."""
    context = ssl.create_default_context(cadata=root)
    return httpx.Client(base_url=f"https://127.0.0.1:{HTTPS_PORT}", verify=context, timeout=30, headers={"Host": HOST})


def status(root: str, path: str = "/api/ping") -> int:
    """Return the status of a request that verifies certificate and host name."""
    with client(root) as session:
        return session.get(path, extensions={"sni_hostname": HOST}).status_code


def served() -> x509.Certificate:
    """Return the certificate that a new connection gets, whatever it is."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", HTTPS_PORT)) as raw, context.wrap_socket(raw) as connection:
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")


def write(stack: Stack, started: timedelta = timedelta(days=1)) -> x509.Certificate:
    """Write another certificate and key of its own into the project of the stack."""
    certificate, key = OWN.issue(HOST, started=started)
    (stack.folder / "own.crt").write_text(certificate)
    (stack.folder / "own.key").write_text(key)
    return x509.load_pem_x509_certificate(certificate.encode())


def test_a_refused_certificate_fails_up_with_the_answer_of_the_ca_and_dhis2_serves(stack: Stack) -> None:
    text = stack.failing_up()
    assert "the CA issued no certificate" in text and "rejectedIdentifier" in text
    assert served().issuer == served().subject, "a self-signed certificate is better than no service"
    with httpx.Client(verify=False) as session:  # noqa: S501
        assert session.get(f"https://127.0.0.1:{HTTPS_PORT}/api/ping").status_code == 200


def test_up_ends_with_a_certificate_of_the_ca(stack: Stack, ca: Pebble) -> None:
    stack.set(hostname=HOST)
    stack.up()
    assert stack.outputs()["url"] == f"https://{HOST}:{HTTPS_PORT}"
    assert status(ca.issuer) == 200
    redirect = httpx.get(f"http://127.0.0.1:{HTTP_PORT}/a?b=c")
    assert (redirect.status_code, redirect.headers["location"]) == (301, f"https://{HOST}:{HTTPS_PORT}/a?b=c")
    assert "server.https = on" in stack.inside("core-1", "cat", "/opt/dhis2/dhis.conf")
    assert "unchanged" in stack.up()
    stack.must("preview", "--refresh", "--expect-no-changes", "--stack", stack.name)


def test_users_log_in_over_https(stack: Stack, ca: Pebble) -> None:
    login = {"username": "admin", "password": stack.outputs()["adminPassword"]}
    assert login["password"] != ADMIN[1], "others can reach a stack with a host name"
    with client(ca.issuer) as session:
        response = session.post("/api/auth/login", json=login, extensions={"sni_hostname": HOST})
        assert response.status_code == 200, response.text
        assert "secure" in response.headers["set-cookie"].lower()


def test_chromium_opens_the_login_page(stack: Stack, ca: Pebble) -> None:
    url = f"http://{HOST}:{HTTP_PORT}/"
    assert 'name="password"' in page(stack.docker, url, ca.issuer)
    assert "ERR_CERT_AUTHORITY_INVALID" in page(stack.docker, url, OWN.root), "it does not know the CA"


def test_status_shows_the_days_left(stack: Stack) -> None:
    shown = json.loads(stack.command("status", "--json").stdout)
    assert (shown["healthy"], shown["url"]) == (True, f"https://{HOST}:{HTTPS_PORT}")
    assert (shown["certificate"]["days_left"], shown["certificate"]["self_signed"]) == (89, False)


def test_another_key_is_obtained_from_the_ca(stack: Stack, ca: Pebble) -> None:
    before, first = stack.containers(), served()
    removed = stack.command("shell", "certificates", "--", "sh", "-c", "rm -r /certificates/lego-*/certificates")
    assert removed.code == 0 and served() == first, removed.text
    restarted = stack.command("restart", "certificates")
    assert restarted.code == 0, restarted.text
    assert served().public_key() != first.public_key() and status(ca.issuer) == 200
    assert stack.containers() == before


def test_an_expired_certificate_changes_nothing(stack: Stack, ca: Pebble) -> None:
    before = stack.containers()
    write(stack, started=timedelta(days=91))
    stack.set(tls="certificate", tlsCertificate="own.crt", tlsKey="own.key")
    assert "tlsCertificate has expired on" in stack.failing_up()
    assert stack.containers() == before and status(ca.issuer) == 200


def test_an_own_certificate_is_served(stack: Stack) -> None:
    issued = write(stack)
    stack.up()
    assert served() == issued and status(OWN.root) == 200
    assert json.loads(stack.command("status", "--json").stdout)["certificate"]["days_left"] == 88
    assert "certificates" not in stack.containers()


def test_a_replaced_certificate_replaces_no_container_and_fails_no_request(stack: Stack) -> None:
    before, issued = stack.containers(), write(stack)
    url = f"https://127.0.0.1:{HTTPS_PORT}"
    with Load(url, choose=lambda *_: ("GET", "/api/ping"), clients=4, verify=False) as load:
        assert "unchanged" in stack.up()
        assert served() == issued
    assert load.answered() > 20 and not load.failures
    assert stack.containers() == before


def test_a_self_signed_certificate_needs_no_volume(stack: Stack) -> None:
    stack.set(tls="selfSigned")
    stack.up()
    assert served().issuer == served().subject
    assert f"{stack.prefix}-certificates" not in stack.leftovers()
    assert "unchanged" in stack.up()
    shown = json.loads(stack.command("status", "--json").stdout)
    assert (shown["healthy"], shown["certificate"]["self_signed"]) == (True, True)


def test_a_self_signed_certificate_gets_another_key(stack: Stack) -> None:
    first = served()
    stack.up("--replace", "**certificate-password")
    assert served().public_key() != first.public_key()


def test_destroy_leaves_nothing(stack: Stack) -> None:
    stack.destroy()
    assert stack.leftovers() == []
