"""A stack on three nodes at https: load balancers on two nodes serve your own certificate, then that of a CA.

Steps in their order. The database, and with it the ACME client, is on the third node.
"""

import json
import os
import socket
import ssl
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from components.orchestrator.swarm.pieces import WRITE_LABEL
from tests.support.app_hub import app_zip
from tests.support.certificates import Authority
from tests.support.commands import execute, logs
from tests.support.pebble.server import Pebble
from tests.support.project import LEGO
from tests.support.waiting import until
from tests.swarm.lab import Swarm
from tests.swarm.node import Node
from tests.swarm.stacks import SwarmStack, deployed

pytestmark = [pytest.mark.swarm, pytest.mark.scenario]

BLOCKED, HOST, HTTPS_PORT = "blocked.example.org", "dhis2.example.org", 8443
OWN = Authority("Own")
# The simulator serves text.
LARGE = os.urandom(1_500_000).hex()


@pytest.fixture(scope="module")
def stack(swarm: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwarmStack]:
    """Deploy one core at https with a certificate of its own, and with a large app."""
    folder = tmp_path_factory.mktemp("stack")
    nodes = {"primaryNode": "node-2", "replicas": 0, "replicaNodes": "", "lbNodes": '["node-1", "node-3"]'}
    write_certificate(folder)
    write_app(folder / "large.zip")
    https = {"tls": "certificate", "hostname": HOST, "httpsPort": HTTPS_PORT}
    files = {"tlsCertificate": folder / "own.crt", "tlsKey": folder / "own.key"}
    apps = json.dumps([str(folder / "large.zip")])
    with deployed(swarm, folder, **nodes, **https, **files, apps=apps) as stack:
        yield stack


@pytest.fixture(scope="module")
def folder(stack: SwarmStack) -> Path:
    """Return where the files of the settings are."""
    return stack.stack.folder.parent


@pytest.fixture(scope="module")
def ca(stack: SwarmStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    """A CA that finds the host name at the second load balancer, which is on another node than the client."""
    folder, address = tmp_path_factory.mktemp("pebble"), stack.swarm.nodes[2].address
    options = {"resolves_to": address, "http_port": stack.stack.port, "blocked": (BLOCKED,)}
    with Pebble(folder, stack.swarm.address, **options) as pebble:  # type: ignore[arg-type]
        yield pebble


def write_certificate(folder: Path) -> x509.Certificate:
    """Write another certificate and its key."""
    certificate, key = OWN.issue(HOST)
    (folder / "own.crt").write_text(certificate)
    (folder / "own.key").write_text(key)
    return x509.load_pem_x509_certificate(certificate.encode())


def write_app(path: Path) -> None:
    """Write an app that no config of a swarm has room for."""
    path.write_bytes(app_zip("Large", "1.0.0"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("large.txt", LARGE)


def load_balancers(stack: SwarmStack) -> list[Node]:
    """Return the nodes with a load balancer."""
    return [stack.swarm.nodes[0], stack.swarm.nodes[2]]


def served(node: Node) -> x509.Certificate:
    """Return the certificate that a new connection to a node gets, whatever it is."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((node.address, HTTPS_PORT), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname=HOST) as connection,
    ):
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")


def get(node: Node, root: str, path: str = "/api/ping", **options: object) -> httpx.Response:
    """Send one request to a node that verifies certificate and host name."""
    context = ssl.create_default_context(cadata=root)
    with httpx.Client(base_url=f"https://{node.address}:{HTTPS_PORT}", verify=context, timeout=30) as client:
        return client.get(path, headers={"Host": HOST}, extensions={"sni_hostname": HOST}, **options)  # type: ignore[arg-type]


def tasks(stack: SwarmStack) -> set[str]:
    """Return the ids of the containers of the load balancers."""
    return {str(each.id) for listed in stack.containers("lb").values() for each in listed}


@dataclass
class Outage:
    """Counts how often in a row no load balancer took a connection."""

    nodes: list[Node]
    seen: int = 0
    asked: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Ask all of them until it is to stop."""
        while not self._stop.is_set():
            self.asked += 1
            self.seen += not any(takes_connections(node) for node in self.nodes)
            time.sleep(0.1)

    @contextmanager
    def during(self) -> Iterator["Outage"]:
        """Watch while the context lasts."""
        thread = threading.Thread(target=self.watch, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()


def takes_connections(node: Node) -> bool:
    """Return whether a load balancer ends a handshake."""
    with suppress(OSError):
        return bool(served(node).serial_number)
    return False


def test_both_load_balancers_serve_your_own_certificate(stack: SwarmStack) -> None:
    for node in load_balancers(stack):
        assert get(node, OWN.root).status_code == httpx.codes.OK, node.hostname
        redirect = httpx.get(f"{stack.url(node)}/a?b=c")
        assert redirect.headers["location"] == f"https://{HOST}:{HTTPS_PORT}/a?b=c"
    assert "unchanged" in stack.stack.up()
    stack.stack.must("preview", "--refresh", "--expect-no-changes", "--stack", stack.stack.name)


def test_an_app_of_three_megabytes_is_installed_from_another_node(stack: SwarmStack) -> None:
    node, login = stack.swarm.nodes[0], ("admin", stack.stack.outputs()["adminPassword"])
    assert get(node, OWN.root, "/api/apps/Large/large.txt", auth=login).text == LARGE
    with closing(stack.swarm.manager.client()) as client:
        assert client.api.configs(filters={"label": WRITE_LABEL}) == [], "pieces are removed"


def test_a_renewed_certificate_reaches_both_while_one_of_them_serves(stack: SwarmStack, folder: Path) -> None:
    before, issued = tasks(stack), write_certificate(folder)
    with Outage(load_balancers(stack)).during() as outage:
        stack.stack.up()
        assert [served(node) for node in load_balancers(stack)] == [issued] * 2
    assert outage.asked > 5 and not outage.seen
    assert not tasks(stack) & before, "the key is a secret of a task"
    assert len([name for name in stack.leftovers() if "lb-own.pem-" in name]) == 1, "the one before is removed"


def test_a_refused_certificate_fails_up_with_the_answer_of_the_ca_and_dhis2_serves(
    stack: SwarmStack, ca: Pebble
) -> None:
    acme = {"acmeServer": ca.url, "acmeServerCertificate": ca.root, "acmeEmail": "me@example.org", "acmeImage": LEGO}
    stack.stack.set(tls="acme", hostname=BLOCKED, **acme)
    text = stack.stack.failing_up()
    assert "the CA issued no certificate" in text and "rejectedIdentifier" in text
    for node in load_balancers(stack):
        certificate = served(node)
        assert certificate.issuer == certificate.subject, "a self-signed certificate is better than no service"


def test_up_ends_when_both_load_balancers_serve_a_certificate_of_the_ca(stack: SwarmStack, ca: Pebble) -> None:
    stack.stack.set(hostname=HOST)
    stack.stack.up()
    assert list(stack.containers("certificates")) == ["node-2"], "no load balancer is there"
    for node in load_balancers(stack):
        assert get(node, ca.issuer).status_code == httpx.codes.OK, node.hostname
    assert "unchanged" in stack.stack.up()
    stack.stack.must("preview", "--refresh", "--expect-no-changes", "--stack", stack.stack.name)


def test_a_renewal_reaches_both_load_balancers_and_restarts_none(stack: SwarmStack, ca: Pebble) -> None:
    before, first = tasks(stack), served(stack.swarm.nodes[0])
    client = stack.container("certificates")
    code, output = execute(client, "sh", "-c", "rm -r /certificates/lego-*/certificates")
    assert code == 0, output
    client.kill()
    nodes = load_balancers(stack)
    until(lambda: all(served(node) != first for node in nodes), "both load balancers to have the other certificate")
    assert served(nodes[0]) == served(nodes[1])
    for node in nodes:
        assert get(node, ca.issuer).status_code == httpx.codes.OK, node.hostname
    assert tasks(stack) == before


def test_a_load_balancer_that_starts_again_has_the_certificate_without_the_client(stack: SwarmStack) -> None:
    node = stack.swarm.nodes[2]
    issued, before = served(node), tasks(stack)
    stack.swarm.drain(stack.swarm.nodes[1])
    until(lambda: not stack.containers("acme-web"), "the web server of the client to end")
    (balancer,) = stack.containers("lb")[node.hostname]
    balancer.kill()
    until(lambda: tasks(stack) - before and takes_connections(node), "the load balancer to start again")
    assert served(node) == issued
    stack.swarm.activate(stack.swarm.nodes[1])
    parts = ("primary", "core-1", "certificates", "acme-web")
    until(lambda: [stack.services()[part] for part in parts] == [1] * 4, "what was on the node to run again")
    assert "unchanged" in stack.stack.up()


def test_no_key_is_logged(stack: SwarmStack) -> None:
    listed = [each for part in ("lb", "certificates", "acme-web") for each in stack.containers(part).values()]
    assert len(listed) == 4
    assert not [each.name for containers in listed for each in containers if "PRIVATE" in logs(each)]


def test_destroy_leaves_nothing_on_any_node(stack: SwarmStack) -> None:
    stack.stack.destroy()
    until(lambda: not stack.leftovers(), f"nothing to be left of {stack.stack.prefix}")
