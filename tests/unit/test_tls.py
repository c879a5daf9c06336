"""Https of a stack: what each mode registers, what every `up` does for the certificate, and what is refused before."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pulumi
import pytest

from components.memory import needed_mb
from components.preflight import check_certificate
from components.settings.parsing import parse_settings
from components.tls.pem import pair, parse_chain
from tests.support.certificates import Authority
from tests.support.program import CURRENT, PREFIX, VOLUME, FakeEngine, FakeWatcher, Recorded, Run, visible
from tests.unit.test_settings import error_lines
from tools import images

HOST = "dhis2.example.org"
CA = Authority()
CERTIFICATE, KEY = CA.issue(HOST)
OWN: dict[str, object] = {"tls": "certificate", "hostname": HOST, "tlsCertificate": CERTIFICATE, "tlsKey": KEY}
ACME: dict[str, object] = {"tls": "acme", "hostname": HOST, "acmeEmail": "me@example.org"}
DNS: dict[str, object] = {
    **ACME,
    "acmeDnsProvider": "cloudflare",
    "acmeDnsCredentials": json.dumps({"CLOUDFLARE_DNS_API_TOKEN": "hidden"}),
}
PORTS: dict[str, object] = {"port": 80, "httpsPort": 443}


def watcher(pem: str | None = None, printed: str = "") -> FakeWatcher:
    """A Docker Engine whose load balancer has this certificate, and whose client of a CA prints this."""
    files = {CURRENT: pem} if pem else {}
    return FakeWatcher(engine=FakeEngine(files=files, printed_by_certificates=printed))


def conf(recorded: Recorded) -> str:
    return recorded.container("lb").files["/opt/dhis2-cluster/nginx.conf"]


def test_without_tls_nothing_of_it_is_there(built: Run) -> None:
    recorded = built()
    balancer = recorded.container("lb")
    assert "ssl" not in conf(recorded) and "301" not in conf(recorded)
    assert not {path for path in balancer.files if "tls" in path or "secrets" in path}
    assert [port["internal"] for port in balancer.inputs["ports"]] == [8080]
    assert "server.https" not in recorded.container("core-1").files["/opt/dhis2/dhis.conf"]
    names = {resource.name for resource in recorded.resources}
    assert not names & {"certificates", "certificate-password", "acme-client", "acme-image"}


@pytest.mark.parametrize("settings", [{"tls": "selfSigned"}, OWN, ACME, DNS], ids=["selfSigned", "own", "acme", "dns"])
def test_with_tls_dhis2_is_at_https(run: Run, settings: Mapping[str, object]) -> None:
    recorded = run(watcher=watcher(pair(CERTIFICATE, KEY)), bind="192.0.2.7", **PORTS, **settings)
    url = f"https://{settings.get('hostname', '192.0.2.7')}"
    assert recorded.outputs["url"] == url
    ports = {port["internal"]: port["external"] for port in recorded.container("lb").inputs["ports"]}
    assert ports == {8080: 80, 8443: 443}
    lines = recorded.container("core-1").files["/opt/dhis2/dhis.conf"].splitlines()
    assert "server.https = on" in lines, "cookies over https only"
    assert f"server.base.url = {url}" in lines
    assert f"return 301 {url}$request_uri;" in conf(recorded)
    served = recorded.container("lb").files["/opt/dhis2-cluster/secrets/self-signed.pem"]
    assert parse_chain(served).server.issuer == parse_chain(served).server.subject
    assert "PRIVATE KEY" not in visible(dict(recorded.container("lb").raw))
    assert any(command[-1].startswith("https://127.0.0.1:8443/") for command in recorded.watcher.commands)


@pytest.mark.parametrize(
    ("settings", "hsts"),
    [
        ({**ACME, **PORTS}, True),
        (ACME, False),
        ({**ACME, "baseUrl": f"https://{HOST}"}, True),
        ({**ACME, **PORTS, "acmeServer": "https://acme-staging-v02.api.letsencrypt.org/directory"}, False),
        ({**OWN, **PORTS}, False),
        ({"tls": "selfSigned", **PORTS}, False),
    ],
    ids=["Let's Encrypt", "another port", "port 443 of a router", "staging", "a CA of your own", "self-signed"],
)
def test_browsers_are_bound_to_https_where_they_trust_the_certificate(
    run: Run, settings: Mapping[str, object], hsts: bool
) -> None:
    recorded = run(watcher=watcher(pair(CERTIFICATE, KEY)), **settings)
    assert ("add_header Strict-Transport-Security" in conf(recorded)) == hsts


def test_server_https_of_dhis_conf_is_yours(built: Run) -> None:
    recorded = built(tls="selfSigned", dhisConf=json.dumps({"server.https": "off"}))
    lines = recorded.container("core-1").files["/opt/dhis2/dhis.conf"].splitlines()
    assert [line for line in lines if line.startswith("server.https")] == ["server.https = off"]


def test_your_own_certificate_is_in_no_resource(run: Run) -> None:
    recorded = run(watcher=watcher(), **OWN)
    texts = [str(resource.inputs) for resource in recorded.resources]
    line = KEY.splitlines()[1]
    assert not any(line in text for text in texts), (
        "a replaced file must replace no container, and the state has no key"
    )


def test_up_installs_your_own_certificate_and_a_second_one_changes_nothing(run: Run) -> None:
    first = run(watcher=watcher(), **OWN)
    wanted = pair(CERTIFICATE, KEY)
    engine = first.watcher.engine
    assert engine.files[CURRENT] == wanted
    assert f"put {CURRENT[1]} of 101 with mode 600" in engine.done
    second = run(watcher=watcher(wanted), **OWN)
    assert not [line for line in second.watcher.engine.done if line.startswith("put")]
    assert run(watcher=watcher(), preview=True, **OWN).watcher.engine.done == []


def test_a_replaced_certificate_changes_no_resource(run: Run) -> None:
    other, key = CA.issue(HOST)
    runs = [run(watcher=watcher(), **OWN), run(watcher=watcher(), **{**OWN, "tlsCertificate": other, "tlsKey": key})]
    resources = [{resource.name: resource.raw for resource in recorded.resources} for recorded in runs]
    assert resources[0] == resources[1]


def test_credentials_of_the_dns_provider_are_files(run: Run) -> None:
    client = run(watcher=watcher(pair(CERTIFICATE, KEY)), **DNS).container("certificates")
    path = "/opt/dhis2-cluster/secrets/CLOUDFLARE_DNS_API_TOKEN"
    assert client.environment["CLOUDFLARE_DNS_API_TOKEN_FILE"] == path and client.files[path] == "hidden"
    assert "hidden" not in visible(dict(client.raw))
    assert client.inputs["entrypoints"][-2:] == ["--dns", "cloudflare"]


def test_the_client_of_the_ca_has_a_volume_in_common_with_the_load_balancer(run: Run) -> None:
    recorded = run(watcher=watcher(pair(CERTIFICATE, KEY)), **ACME)
    (volume,) = [item for item in recorded.of(VOLUME) if item.name == "certificates"]
    for name in ("lb", "certificates"):
        assert volume.inputs["name"] in {mount["source"] for mount in recorded.container(name).inputs["mounts"]}
    users = {recorded.container(name).inputs["user"] for name in ("lb", "certificates")}
    assert len(users) == 1, "the key is readable by its user alone"
    assert f"{PREFIX}-certificates" in recorded.watcher.waited


def test_up_waits_for_the_ca_when_all_else_is_ready(run: Run) -> None:
    recorded = run(watcher=watcher(pair(CERTIFICATE, KEY)), **ACME)
    assert recorded.watcher.waited[-1] == f"{PREFIX}-certificates", "DHIS2 serves without it, also where it fails up"


def test_after_a_failure_up_asks_the_ca_again_at_once(run: Run) -> None:
    failure = "the certificate could not be renewed: acme: error: 429 :: rateLimited"
    recorded = run(watcher=watcher(pair(CERTIFICATE, KEY), failure), **ACME)
    assert "restart certificates" in recorded.watcher.engine.done
    assert any(failure in text for text in recorded.warnings), "it still serves"
    quiet = run(watcher=watcher(pair(CERTIFICATE, KEY)), **ACME)
    assert "restart certificates" not in quiet.watcher.engine.done


def test_an_expired_certificate_of_a_ca_fails_up(run: Run) -> None:
    expired, key = CA.issue(HOST, started=timedelta(days=91))
    reason = "the certificate could not be renewed: connection refused"
    with pytest.raises(pulumi.RunError, match=r"has expired on .*connection refused"):
        run(watcher=watcher(pair(expired, key), reason), **ACME)


def test_your_own_certificate_is_checked_before_anything_is_registered(run: Run) -> None:
    expired, key = CA.issue(HOST, started=timedelta(days=91))
    recorded = Recorded(watcher=watcher())
    with pytest.raises(pulumi.RunError, match=r"tlsCertificate has expired on .*Nothing was changed"):
        run(into=recorded, **{**OWN, "tlsCertificate": expired, "tlsKey": key})
    assert not recorded.resources


def test_a_certificate_that_expires_soon_or_is_incomplete_is_warned_of() -> None:
    soon = parse_settings({**OWN, **texts(CA.issue(HOST, started=timedelta(days=80)))})
    assert "expires on" in check_certificate(soon)[0]
    incomplete = parse_settings({**OWN, **texts(CA.issue(HOST, bundle=False))})
    assert "no intermediate certificate" in check_certificate(incomplete)[0]
    assert check_certificate(parse_settings(OWN)) == []
    assert check_certificate(parse_settings({})) == []


def texts(issued: tuple[str, str]) -> dict[str, object]:
    return {"tlsCertificate": issued[0], "tlsKey": issued[1]}


def test_a_certificate_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.crt").write_text(CERTIFICATE)
    (tmp_path / "a.key").write_text(KEY)
    files = {"tlsCertificate": str(tmp_path / "a.crt"), "tlsKey": str(tmp_path / "a.key")}
    assert parse_settings({**OWN, **files}, secret_keys=()) == parse_settings(OWN), "a path is no secret"


def test_the_text_of_a_key_stored_as_plaintext_is_refused() -> None:
    (line,) = error_lines(OWN, secret_keys=())
    assert line.startswith("  tlsKey: its value is stored as plaintext") and "BEGIN" not in line
    assert error_lines(OWN, secret_keys={"dhis2-cluster:tlsKey"}) == []


def test_tls_counts_for_the_memory() -> None:
    sums = [needed_mb(parse_settings(settings)) for settings in ({}, {"tls": "selfSigned"}, ACME)]
    assert sums == sorted(set(sums)), "connections with TLS need more, and so does the client of a CA"


def test_both_ports_are_checked() -> None:
    assert parse_settings({}).published_ports == {"port": 8080}
    assert parse_settings({"tls": "selfSigned"}).published_ports == {"port": 8080, "httpsPort": 8443}


def test_the_tools_read_a_stack_file_whose_key_is_a_secret(tmp_path: Path) -> None:
    lines = ["tls: certificate", f"hostname: {HOST}", "tlsKey: {secure: v1:x}", "readyTimeout: 30m"]
    lines += ["tlsCertificate: own.crt"]
    (tmp_path / "own.crt").write_text(CERTIFICATE)
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n" + "".join(f"  dhis2-cluster:{line}\n" for line in lines))
    settings = images.settings_of("dev", tmp_path)
    assert (settings.ready_timeout_seconds, settings.public_url) == (1800, f"https://{HOST}:8443")
