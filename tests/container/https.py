"""Load balancers with https, and clients of them."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from cryptography import x509
from docker.models.containers import Container
from docker.types import Mount

from components.load_balancer.load_balancer import HTTPS_PORT, https_of
from components.orchestrator.commands import write_file
from components.settings.model import Settings
from components.settings.parsing import parse_settings
from components.stack_context import CertificateVolume
from components.tls.pem import self_signed
from tests.container.balancing import load_balancer
from tests.support.certificates import Authority
from tests.support.containers import Containers

HOST = "dhis2.example.org"
URL = f"https://{HOST}"
CERTIFICATE, KEY = Authority().issue(HOST)
MODES: dict[str, dict[str, object]] = {
    "selfSigned": {"hostname": HOST},
    "certificate": {"hostname": HOST, "tlsCertificate": CERTIFICATE, "tlsKey": KEY},
    "acme": {"hostname": HOST, "acmeEmail": "me@example.org"},
}


def settings_of(mode: str) -> Settings:
    """Return the settings of a stack with https on its default port."""
    return parse_settings({"tls": mode, "port": 80, "httpsPort": 443, **MODES[mode]})


def balancer(containers: Containers, mode: str, *, hsts: bool = False) -> Container:
    """Start a load balancer with https, on a new volume where the mode has one."""
    mounts = []
    if mode != "selfSigned":
        name = containers.volume("certificates")
        mounts = [Mount(path, name) for path in (CertificateVolume.folder, "/var/tmp")]  # noqa: S108
    https = https_of(settings_of(mode), hsts=hsts)
    return load_balancer(containers, url=URL, https=https, self_signed=self_signed("seed", HOST), mounts=mounts)


def served(address: str) -> x509.Certificate:
    """Return the certificate that a new connection gets."""
    with connected(address) as connection:
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")


def install(containers: Containers, container: Container, text: str) -> None:
    """Replace the certificate as `pulumi up` does."""
    write_file(containers.client, str(container.name), CertificateVolume.certificate, text, CertificateVolume.uid)


def get(address: str, path: str, **headers: str) -> httpx.Response:
    """Send one request over https, for the host name of the certificate."""
    with httpx.Client(verify=False, timeout=30) as client:  # noqa: S501 - other tests look at the certificate
        return client.get(f"https://{address}:{HTTPS_PORT}{path}", headers={"Host": HOST, **headers})


def pings(_: int, number: int) -> tuple[str, str]:
    """Choose GET and POST in turn."""
    return ("GET", "POST")[number % 2], "/api/ping"


@contextmanager
def connected(address: str) -> Iterator[ssl.SSLSocket]:
    """Yield a new connection, whatever its certificate is."""
    # Without the root certificates of this machine, which take tens of milliseconds to read.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address, HTTPS_PORT), timeout=30) as raw,
        context.wrap_socket(raw, server_hostname=HOST) as connection,
    ):
        yield connection


@contextmanager
def upload(address: str) -> Iterator[ssl.SSLSocket]:
    """Yield a connection with a request whose body of three bytes is not sent yet."""
    with connected(address) as connection:
        connection.sendall(b"POST /api/apps HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
        yield connection
