"""A certificate of a CA: lego in its container against Pebble, with NGINX in between."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from docker.models.containers import Container
from docker.types import Mount

from components.load_balancer.load_balancer import HTTPS_PORT
from components.orchestrator.container_paths import FILES, SECRETS
from components.settings.parsing import parse_settings
from components.stack_context import CertificateVolume
from components.templates.rendering import render
from components.tls.acme_client import (
    HEALTHCHECK,
    SCRIPTS,
    SERVER_CERTIFICATE,
    acme_environment,
    lego_options,
)
from components.tls.sizing import MEMORY_MB
from tests.container.balancing import core
from tests.container.https import HOST, balancer, get, pings, served
from tests.support.commands import execute, logs, shell_output
from tests.support.containers import Containers, gateway_of
from tests.support.http import PORT
from tests.support.load import Load
from tests.support.pebble.fakes import dns_provider, limited
from tests.support.pebble.server import Pebble
from tests.support.ports import free_port
from tests.support.project import LEGO
from tests.support.waiting import until

pytestmark = pytest.mark.container

TOKEN = "s3cret-token"  # noqa: S105 - a test's own
MakeCa = Callable[..., Pebble]


@pytest.fixture(scope="module")
def only(containers: Containers) -> Container:
    """The core behind the load balancers."""
    return core(containers)


@pytest.fixture
def lb(containers: Containers, only: Container) -> Iterator[Container]:
    """A load balancer that answers the challenges of a CA, on a volume of its own."""
    container = balancer(containers, "acme")
    until(lambda: get(containers.address(container), "/api/ping").status_code == 200, "the core to be resolved")
    yield container
    containers.remove(container)


@pytest.fixture
def make_ca(containers: Containers, lb: Container, tmp_path: Path) -> Iterator[MakeCa]:
    """Return a function that starts a CA which finds the load balancer under every name."""
    running: list[Pebble] = []

    def make(**options: Any) -> Pebble:  # noqa: ANN401 - Pebble's own
        folder = tmp_path / str(len(running))
        folder.mkdir()
        options = {"resolves_to": containers.address(lb), "http_port": PORT, **options}
        running.append(Pebble(folder, gateway_of(containers.network), **options).__enter__())
        return running[-1]

    yield make
    for ca in running:
        ca.__exit__(None, None, None)


def start_client(
    containers: Containers, lb: Container, url: str, root: str, *options: str, **settings: object
) -> Container:
    """Start lego with the program's files, on the volume of a load balancer; `options` are further ones of lego.

    It checks and tries again after two seconds.
    """
    acme = {"tls": "acme", "hostname": HOST, "acmeEmail": "me@example.org", "acmeServer": url, **settings}
    parsed = parse_settings({**acme, "acmeServerCertificate": root})
    files = {f"{FILES}/{name}": render(f"tls/{name}") for name in SCRIPTS} | {SERVER_CERTIFICATE: root}
    files |= {f"{SECRETS}/{key}": value.get_secret_value() for key, value in parsed.acme_dns_credentials.items()}
    (volume,) = {mount["Name"] for mount in lb.attrs["Mounts"]}
    return containers.start(
        LEGO,
        files=files,
        entrypoint=["/bin/sh", f"{FILES}/acme.sh", *lego_options(parsed), *options],
        environment=acme_environment(parsed) | {"ACME_CHECK_SECONDS": "2", "ACME_RETRY_SECONDS": "2"},
        user=f"{CertificateVolume.uid}:{CertificateVolume.uid}",
        mounts=[Mount(CertificateVolume.folder, volume)],
        tmpfs={"/tmp": "size=16m"},  # noqa: S108
        mem_limit=f"{MEMORY_MB}m",
    )


def health(container: Container) -> tuple[int, str]:
    """Return what the healthcheck of a client says now."""
    return execute(container, *HEALTHCHECK)


def until_issued(container: Container) -> None:
    """Wait until a client has published a certificate."""
    until(lambda: health(container) == (0, ""), "the certificate", container=container, seconds=90)


def until_failed(container: Container) -> str:
    """Wait until an attempt has failed and return what the healthcheck prints."""
    until(lambda: "certificate" in health(container)[1], "an attempt to fail", container=container, seconds=120)
    return health(container)[1]


def is_issued_by(root: str, certificate: x509.Certificate, chain: str) -> bool:
    """Return whether a certificate is for HOST and leads to a root certificate."""
    store = Store([x509.load_pem_x509_certificate(root.encode())])
    verifier = PolicyBuilder().store(store).build_server_verifier(x509.DNSName(HOST))
    try:
        verifier.verify(certificate, x509.load_pem_x509_certificates(chain.encode()))
    except VerificationError:
        return False
    return True


def serves_certificate_of(containers: Containers, lb: Container, ca: Pebble) -> bool:
    """Return whether a new connection gets a certificate of the CA, and the volume has its chain."""
    published = shell_output(lb, f"cat {CertificateVolume.certificate}")
    chain = published[published.index("-----BEGIN CERTIFICATE") :]
    return is_issued_by(ca.issuer, served(containers.address(lb)), chain)


def test_http_01_ends_with_a_certificate_of_the_ca(containers: Containers, lb: Container, make_ca: MakeCa) -> None:
    ca = make_ca()
    assert not serves_certificate_of(containers, lb, ca), "people get a self-signed one until then"
    client = start_client(containers, lb, ca.url, ca.root)
    until_issued(client)
    assert serves_certificate_of(containers, lb, ca)
    client.restart(timeout=5)
    until_issued(client)
    assert logs(client).count("Validations succeeded") == 1, "a restart obtains no other one"
    mode = shell_output(client, f"find {CertificateVolume.folder} -type f -perm /077")
    assert mode == "", "no other user reads a key"


def test_a_certificate_is_renewed_without_a_failed_request(
    containers: Containers, lb: Container, make_ca: MakeCa
) -> None:
    ca = make_ca(seconds=24)
    client = start_client(containers, lb, ca.url, ca.root)
    until_issued(client)
    address = containers.address(lb)
    first = served(address)
    with Load(f"https://{address}:{HTTPS_PORT}", choose=pings, verify=False, pause_seconds=0.01) as load:
        until(lambda: served(address).serial_number != first.serial_number, "the renewal", container=client)
    assert load.answered() > 100 and not load.failures
    assert serves_certificate_of(containers, lb, ca)
    assert served(address).public_key() == first.public_key(), "NGINX reads certificate and key one after the other"


def test_what_the_ca_answers_is_in_the_healthcheck(containers: Containers, lb: Container, make_ca: MakeCa) -> None:
    ca = make_ca(blocked=(HOST,))
    reason = until_failed(start_client(containers, lb, ca.url, ca.root))
    assert reason.startswith("fatal: the CA issued no certificate: ")
    assert "rejectedIdentifier" in reason and HOST in reason
    assert get(containers.address(lb), "/api/ping").status_code == 200, "the self-signed certificate serves on"


def test_a_name_that_leads_elsewhere_is_named(containers: Containers, lb: Container, make_ca: MakeCa) -> None:
    ca = make_ca(resolves_to="127.0.0.9", http_port=free_port("127.0.0.9"))
    reason = until_failed(start_client(containers, lb, ca.url, ca.root))
    assert "urn:ietf:params:acme:error:connection" in reason and "127.0.0.9" in reason


def test_a_rate_limit_is_named(containers: Containers, lb: Container, tmp_path: Path) -> None:
    with limited(gateway_of(containers.network), tmp_path) as (url, root):
        reason = until_failed(start_client(containers, lb, url, root))
    assert "rateLimited" in reason and "too many certificates (5) already issued" in reason


def test_a_ca_that_is_down_is_asked_again(containers: Containers, lb: Container, make_ca: MakeCa) -> None:
    ca = make_ca()
    ca.stop()
    client = start_client(containers, lb, ca.url, ca.root)
    assert "connection refused" in until_failed(client)
    ca.start()
    until_issued(client)
    assert serves_certificate_of(containers, lb, ca)


def test_a_failed_renewal_is_named_while_the_certificate_serves(
    containers: Containers, lb: Container, make_ca: MakeCa
) -> None:
    ca = make_ca(seconds=60)
    client = start_client(containers, lb, ca.url, ca.root)
    until_issued(client)
    issued = served(containers.address(lb))
    ca.stop()
    reason = until_failed(client)
    assert reason.startswith("the certificate could not be renewed: ") and "connection refused" in reason
    assert health(client)[0] == 0 and served(containers.address(lb)) == issued


@pytest.mark.parametrize("damage", ["echo >", "rm "])
def test_half_a_pair_is_never_published(containers: Containers, lb: Container, make_ca: MakeCa, damage: str) -> None:
    ca = make_ca()
    client = start_client(containers, lb, ca.url, ca.root)
    until_issued(client)
    first = served(containers.address(lb))
    shell_output(client, f"{damage}$ACME_STORE/certificates/{HOST}.key")
    client.kill()
    assert served(containers.address(lb)) == first, "what was published serves on"
    client.start()
    until(lambda: served(containers.address(lb)) != first, "another certificate", container=client)
    assert serves_certificate_of(containers, lb, ca)


def test_another_ca_issues_another_certificate(containers: Containers, lb: Container, make_ca: MakeCa) -> None:
    for ca in (make_ca(), make_ca()):
        client = start_client(containers, lb, ca.url, ca.root)
        until_issued(client)
        assert serves_certificate_of(containers, lb, ca), "the one of a staging CA must not be kept"
        containers.remove(client)


def test_dns_01_ends_with_a_certificate_of_the_ca(containers: Containers, lb: Container, make_ca: MakeCa) -> None:
    ca = make_ca(resolves_to="127.0.0.9")
    with dns_provider(gateway_of(containers.network), ca) as (endpoint, passwords):
        # The names of the test have no authoritative name servers that could be asked for the record.
        client = start_client(
            *(containers, lb, ca.url, ca.root, "--dns.propagation-wait", "1s"),
            acmeDnsProvider="httpreq",
            acmeDnsCredentials={"HTTPREQ_ENDPOINT": endpoint, "HTTPREQ_USERNAME": "me", "HTTPREQ_PASSWORD": TOKEN},
        )
        until_issued(client)
    assert serves_certificate_of(containers, lb, ca)
    assert passwords and set(passwords) == {TOKEN}
    assert TOKEN not in json.dumps(client.attrs) + logs(client)


def test_an_unknown_dns_provider_is_named(containers: Containers, lb: Container, make_ca: MakeCa) -> None:
    ca = make_ca()
    client = start_client(containers, lb, ca.url, ca.root, acmeDnsProvider="no-such-provider")
    assert "no-such-provider" in until_failed(client)
