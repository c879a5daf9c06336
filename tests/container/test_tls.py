"""Https of the load balancer in a real NGINX: what browsers get, and what a replaced certificate interrupts."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from docker.models.containers import Container
from docker.types import Mount

from components.load_balancer.load_balancer import HTTPS_PORT, https_of, nginx_conf
from components.orchestrator.container_paths import SECRETS
from components.stack_context import CertificateVolume
from components.tls.pem import pair, self_signed
from tests.container.balancing import core, load_balancer
from tests.container.https import (
    CERTIFICATE,
    HOST,
    KEY,
    MODES,
    URL,
    balancer,
    connected,
    get,
    install,
    pings,
    served,
    settings_of,
    upload,
)
from tests.support.certificates import Authority, Key, ec_key, rsa_key
from tests.support.commands import execute, logs, shell_output
from tests.support.containers import Containers
from tests.support.http import ask
from tests.support.load import Load
from tests.support.project import NGINX
from tests.support.waiting import until

pytestmark = pytest.mark.container


IDLE, MOST_CONNECTIONS = 1000, 4 * 3072


@pytest.fixture(scope="module")
def only(containers: Containers) -> Container:
    """The core behind the load balancers."""
    return core(containers, drops=True)


@pytest.fixture(scope="module", params=MODES)
def lb(containers: Containers, only: Container, request: pytest.FixtureRequest) -> str:
    """The address of a load balancer in each of the modes."""
    address = containers.address(balancer(containers, request.param))
    until(lambda: get(address, "/api/ping").status_code == 200, "the core to be resolved")
    return address


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("hsts", [False, True])
def test_nginx_accepts_the_configuration(containers: Containers, mode: str, hsts: bool) -> None:
    text = nginx_conf("core:8080", URL, https=https_of(settings_of(mode), hsts=hsts))
    pem = self_signed("seed", HOST)
    files = {"/n.conf": text, "/tmp/status.conf": "#\n", "/tmp/curves.conf": "#\n"}  # noqa: S108
    files |= {f"{SECRETS}/self-signed.pem": pem}
    container = containers.start(NGINX, "sleep", "60", files=files, user="101:101")
    code, output = execute(container, "nginx", "-t", "-c", "/n.conf")
    assert code == 0 and "[warn]" not in output, output


def test_port_80_redirects_to_https(lb: str) -> None:
    status, headers, _ = ask(lb, "/dhis-web-login/?a=b&c=d", headers={"Host": "attacker.example"})
    assert (status, headers["location"]) == (301, f"{URL}/dhis-web-login/?a=b&c=d"), "to no other host"
    assert ask(lb, "/lb/health")[0] == 200, "Docker's healthcheck needs no certificate"


def test_http_on_the_port_of_https_redirects_too(lb: str) -> None:
    status, headers, _ = ask(lb, "/a?b=c", port=HTTPS_PORT)
    assert (status, headers["location"]) == (301, f"{URL}/a?b=c"), "an address that was typed without its scheme"


def test_until_there_is_another_certificate_people_get_a_self_signed_one(lb: str) -> None:
    certificate = served(lb)
    assert certificate.issuer == certificate.subject
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert HOST in names.get_values_for_type(x509.DNSName)


def test_dhis2_learns_that_users_came_over_https(lb: str) -> None:
    received = get(lb, "/").json()
    assert (received["proto"], received["name"], received["port"], received["host"]) == ("https", HOST, "443", HOST)


def test_websockets_pass(lb: str) -> None:
    received = get(lb, "/", Upgrade="websocket", Connection="Upgrade").json()
    assert received["upgrade"] == "websocket upgrade"


def test_browsers_get_http_2(containers: Containers, only: Container) -> None:
    container = balancer(containers, "selfSigned")
    until(lambda: get(containers.address(container), "/api/ping").status_code == 200, "the core to be resolved")
    curl = f"curl -sk --http2 -w '%{{http_version}} %{{http_code}}' -o /dev/null https://127.0.0.1:{HTTPS_PORT}"
    assert shell_output(container, f"{curl}/api/ping") == "2 200"
    before = len(logs(only))
    assert shell_output(container, f"{curl}/api/systemSettings/keyX -d x") == "2 200"
    until(lambda: "keyLastSuccessfulMonitoring" in logs(only)[before:], "the cores to read the settings again")
    upload = "head -c 30000000 /dev/zero | curl -sk --http2 -T - -w '%{http_code}' -o /dev/null"
    assert shell_output(container, f"{upload} https://127.0.0.1:{HTTPS_PORT}/api/apps") == "200"


@pytest.mark.parametrize("hsts", [False, True])
def test_hsts_is_sent_where_the_certificate_is_publicly_trusted(
    containers: Containers, only: Container, hsts: bool
) -> None:
    address = containers.address(balancer(containers, "certificate", hsts=hsts))
    until(lambda: get(address, "/api/ping").status_code == 200, "the core to be resolved")
    expected = ["max-age=63072000"] if hsts else []
    for path in ("/", "/missing", "/hsts"):
        sent = get(address, path).headers.get_list("strict-transport-security")
        assert sent == expected, "DHIS2's own is for any certificate and all subdomains; browsers read the first of two"
    assert "strict-transport-security" not in ask(address, "/")[1], "browsers ignore it over http"


def test_a_browser_is_never_bound_to_a_self_signed_certificate(lb: str) -> None:
    assert "strict-transport-security" not in get(lb, "/hsts").headers


def test_without_a_core_dhis2_is_starting() -> None:
    with Containers() as empty:
        response = get(empty.address(balancer(empty, "certificate", hsts=True)), "/", Accept="text/html")
        assert response.status_code == 503 and "DHIS2 is starting" in response.text
        assert response.headers["strict-transport-security"] == "max-age=63072000"


def test_challenges_of_a_ca_are_answered_over_http(containers: Containers) -> None:
    container = balancer(containers, "acme")
    folder = f"{CertificateVolume.challenges}/.well-known/acme-challenge"
    shell_output(container, f"umask 077 && mkdir -p {folder} && printf token.thumb >{folder}/token")
    address = containers.address(container)
    assert ask(address, "/.well-known/acme-challenge/token")[2] == "token.thumb"
    assert ask(address, "/.well-known/acme-challenge/other")[0] == 404
    assert ask(address, "/.well-known/acme-challenge/../../../current.pem")[0] in (301, 400), "and nothing else"


def test_a_replaced_certificate_is_served_without_a_failed_request(containers: Containers, only: Container) -> None:
    container, authority = balancer(containers, "certificate"), Authority()
    address = containers.address(container)
    until(lambda: get(address, "/api/ping").status_code == 200, "the core to be resolved")
    url = f"https://{address}:{HTTPS_PORT}"
    with Load(url, choose=pings, verify=False, pause_seconds=0.01) as load, upload(address) as connection:
        for _ in range(3):
            certificate, key = authority.issue(HOST)
            install(containers, container, pair(certificate, key))
            issued = x509.load_pem_x509_certificate(certificate.encode())
            assert served(address) == issued, "the next handshake has it"
            connection.sendall(b"x")
        assert b" 200 " in connection.recv(65536), "a request that takes long is not cut"
    assert load.answered() > 100 and not load.failures


def test_a_replaced_load_balancer_serves_the_certificate_at_once(containers: Containers) -> None:
    first = balancer(containers, "certificate")
    certificate, key = Authority().issue(HOST)
    install(containers, first, pair(certificate, key))
    mounts = [Mount(mount["Destination"], mount["Name"]) for mount in first.attrs["Mounts"]]
    containers.remove(first)
    https = https_of(settings_of("certificate"), hsts=False)
    second = load_balancer(containers, url=URL, https=https, self_signed=self_signed("seed", HOST), mounts=mounts)
    assert served(containers.address(second)) == x509.load_pem_x509_certificate(certificate.encode())


def test_idle_connections_leave_other_requests_unaffected(containers: Containers, only: Container) -> None:
    container = balancer(containers, "certificate")
    address = containers.address(container)
    until(lambda: get(address, "/api/ping").status_code == 200, "the core to be resolved")
    with ExitStack() as idle:
        for _ in range(IDLE):
            idle.enter_context(connected(address))
        assert get(address, "/api/ping").status_code == 200, "people with a real request are served"
        stats: Any = container.stats(stream=False)["memory_stats"]  # type: ignore[no-untyped-call]
        used, limit = stats["usage"] - stats["stats"].get("inactive_file", 0), stats["limit"]
        assert used / IDLE * MOST_CONNECTIONS < limit, "as many as NGINX accepts fit into the memory"


def test_only_the_load_balancer_s_user_reads_the_key(containers: Containers) -> None:
    container = balancer(containers, "certificate")
    install(containers, container, pair(CERTIFICATE, KEY))
    stat = shell_output(container, f"stat -c '%u %a' {CertificateVolume.certificate}")
    assert stat == f"{CertificateVolume.uid} 600"


@pytest.mark.parametrize("key", [ec_key, rsa_key])
def test_sslyze_finds_nothing_against_mozilla_s_intermediate_configuration(
    containers: Containers, key: Callable[[], Key], tmp_path: Path
) -> None:
    container, authority = balancer(containers, "certificate", hsts=True), Authority()
    certificate, private = authority.issue(HOST, key=key())
    install(containers, container, pair(certificate, private))
    (tmp_path / "root.pem").write_text(authority.root)
    address = f"{HOST}:{HTTPS_PORT}{{{containers.address(container)}}}"
    # As a program, not as a library: its licence is the AGPL.
    command = [sys.executable, "-m", "sslyze", "--mozilla_config", "intermediate", "--certinfo_ca_file"]
    command += [str(tmp_path / "root.pem"), address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 and "OK - Compliant" in done.stdout, done.stdout + done.stderr
