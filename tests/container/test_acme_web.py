"""What brings the certificate of a CA to load balancers on other nodes: a web server, and the script that asks it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from docker.models.containers import Container
from docker.types import Mount

from components.load_balancer.load_balancer import FETCHING, SELF_SIGNED, UID, https_of, nginx_conf
from components.load_balancer.sizing import memory_mb
from components.orchestrator.container_paths import FILES
from components.settings.parsing import parse_settings
from components.stack_context import AcmeWebServer, CertificateVolume
from components.templates.rendering import render
from components.tls.acme_web import CONF
from components.tls.pem import pair, self_signed
from components.tls.sizing import WEB_MEMORY_MB
from tests.container.https import HOST, MODES, URL, served
from tests.container.test_acme import serves_certificate_of, start_client, until_issued
from tests.support.certificates import Authority
from tests.support.commands import execute, logs, shell_output
from tests.support.containers import Containers, gateway_of
from tests.support.http import PORT, ask
from tests.support.pebble.server import Pebble
from tests.support.project import NGINX
from tests.support.waiting import until

pytestmark = pytest.mark.container

PAIR, OTHER = (self_signed(seed, AcmeWebServer.host, for_clients=True) for seed in ("seed", "another"))
SWARM: dict[str, object] = {"orchestrator": "swarm", "primaryNode": "a", "replicas": 0, "bind": "0.0.0.0"}  # noqa: S104
SETTINGS = parse_settings({"tls": "acme", "port": 80, "httpsPort": 443, **SWARM, **MODES["acme"]})
CURRENT = CertificateVolume.certificate
CA = Authority()


@pytest.fixture(scope="module")
def web(containers: Containers) -> Container:
    """A web server with the volume of a client that has published nothing."""
    volume = containers.volume("acme")
    files = {CONF: render("tls/acme-web.conf"), AcmeWebServer.pair: PAIR}
    # The client gives the volume its mode.
    mounts = [Mount(path, volume) for path in (CertificateVolume.folder, "/var/tmp")]  # noqa: S108
    container = containers.start(
        *(NGINX, "nginx", "-c", CONF),
        files=files,
        alias=AcmeWebServer.host,
        user=f"{UID}:{UID}",
        mounts=mounts,
        mem_limit=f"{WEB_MEMORY_MB}m",
    )
    until(lambda: ask(containers.address(container), "/health").status == 200, "the web server", container=container)
    return container


@pytest.fixture
def balance(containers: Containers) -> Callable[[str], Container]:
    """Return a function that starts a load balancer which has this key and certificate, and asks every five seconds."""

    def start(secret: str) -> Container:
        conf = nginx_conf("core:8080", URL, https=https_of(SETTINGS, hsts=False))
        files = {f"{FILES}/nginx.conf": conf, SELF_SIGNED: self_signed("seed", HOST), AcmeWebServer.pair: secret}
        scripts = ("start.sh", "status.conf", "start-tls.sh", FETCHING)
        files |= {f"{FILES}/{name}": render(f"load_balancer/{name}") for name in scripts}
        volume = containers.volume("certificates")
        container = containers.start(
            NGINX,
            files=files,
            entrypoint=["/bin/sh", f"{FILES}/{FETCHING}", CURRENT, AcmeWebServer.certificate],
            environment={"FETCH_SECONDS": "1"},
            user=f"{UID}:{UID}",
            mounts=[Mount(path, volume) for path in (CertificateVolume.folder, "/var/tmp")],  # noqa: S108
            mem_limit=f"{memory_mb(https=True)}m",
            stop_signal="SIGQUIT",
        )
        until(lambda: ask(containers.address(container), "/lb/health").status == 200, "NGINX", container=container)
        return container

    return start


def publish(web: Container, text: str) -> None:
    """Publish a key and its certificate as acme.sh does."""
    shell_output(web, f"umask 077; cat >{CURRENT}.new <<'END'\n{text}END\nmv {CURRENT}.new {CURRENT}")


def serves(containers: Containers, balancer: Container, certificate: str) -> bool:
    """Return whether new connections get a certificate."""
    return served(containers.address(balancer)) == x509.load_pem_x509_certificate(certificate.encode())


def test_a_load_balancer_has_what_the_client_publishes(
    containers: Containers, web: Container, balance: Callable[[str], Container]
) -> None:
    balancer = balance(PAIR)
    until(lambda: "no certificate to fetch" in logs(balancer), "a first look")
    assert served(containers.address(balancer)).subject == served(containers.address(balancer)).issuer
    workers = shell_output(balancer, "cat /tmp/nginx.pid")
    for certificate, key in (CA.issue(HOST), CA.issue(HOST)):
        publish(web, pair(certificate, key))
        until(lambda: serves(containers, balancer, certificate), "the certificate", container=balancer)  # noqa: B023
    assert shell_output(balancer, f"stat -c '%a %u' {CURRENT}") == f"600 {UID}"
    assert shell_output(balancer, "ls /certificates") == "current.pem", "no copy of a key is left"
    assert shell_output(balancer, "cat /tmp/nginx.pid") == workers, "NGINX goes on"
    web.stop(timeout=5)
    assert serves(containers, balancer, certificate), "also without the client"
    balancer.restart(timeout=30)
    until(lambda: ask(containers.address(balancer), "/lb/health").status == 200, "NGINX", container=balancer)
    assert serves(containers, balancer, certificate), "and after a restart"
    assert "PRIVATE" not in logs(balancer)
    web.start()
    until(lambda: ask(containers.address(web), "/health").status == 200, "the web server", container=web)


@pytest.mark.parametrize("damaged", ["", "-----BEGIN CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\n"])
def test_half_a_file_is_never_served(
    containers: Containers, web: Container, balance: Callable[[str], Container], damaged: str
) -> None:
    certificate, key = CA.issue(HOST)
    publish(web, pair(certificate, key))
    balancer = balance(PAIR)
    until(lambda: serves(containers, balancer, certificate), "the certificate", container=balancer)
    before = logs(balancer).count("no certificate to fetch")
    publish(web, damaged)
    until(lambda: logs(balancer).count("no certificate to fetch") > before, "another look", container=balancer)
    assert serves(containers, balancer, certificate)


def test_only_who_has_the_same_key_gets_the_certificate(
    containers: Containers, web: Container, balance: Callable[[str], Container]
) -> None:
    publish(web, pair(*CA.issue(HOST)))
    balancer = balance(OTHER)
    until(lambda: "no certificate to fetch" in logs(balancer), "a refusal", container=balancer)
    for options in ("", f"--cert {AcmeWebServer.pair}"):
        code, output = execute(balancer, "sh", "-c", f"curl -sk --fail {options} {AcmeWebServer.certificate}")
        assert code and "PRIVATE" not in output
    assert ask(containers.address(web), "/current.pem").status == 404


def test_a_challenge_is_answered_through_a_load_balancer(
    containers: Containers, web: Container, balance: Callable[[str], Container]
) -> None:
    folder = f"{CertificateVolume.challenges}/.well-known/acme-challenge"
    shell_output(web, f"umask 077; mkdir -p {folder}; echo token.thumbprint >{folder}/token")
    address = containers.address(balance(PAIR))
    path = "/.well-known/acme-challenge/"
    until(lambda: ask(address, f"{path}token").status == 200, "the web server to be resolved")
    assert ask(address, f"{path}token").text.strip() == "token.thumbprint"
    assert ask(address, f"{path}another").status == 404
    assert ask(address, f"{path}../../current.pem").status == 301, "as any other path"


def test_a_certificate_of_a_ca_reaches_a_load_balancer_without_the_volume_of_the_client(
    containers: Containers, web: Container, balance: Callable[[str], Container], tmp_path: Path
) -> None:
    balancer = balance(PAIR)
    address = containers.address(balancer)
    until(lambda: ask(address, "/.well-known/acme-challenge/x").status == 404, "the web server to be resolved")
    with Pebble(tmp_path, gateway_of(containers.network), resolves_to=address, http_port=PORT) as ca:
        client = start_client(containers, web, ca.url, ca.root)
        until_issued(client)
        until(lambda: serves_certificate_of(containers, balancer, ca), "the certificate", container=balancer)
        assert "/.well-known/acme-challenge/" in logs(balancer), "the CA came to the load balancer"
