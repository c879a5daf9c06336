"""The consistency rules: settings that are valid one by one and not together."""

import pytest

from components.settings.consistency import consistency_warnings
from components.settings.parsing import parse_settings
from tests.support.ssh_keys import ssh_key
from tests.unit.test_settings import PUBLIC_KEY, error_lines

HTTPS = {"server.https": "on"}
ALL = "0.0.0.0"  # noqa: S104 - a value of bind
ACME: dict[str, object] = {"tls": "acme", "hostname": "dhis2.example.org", "acmeEmail": "me@example.org"}
SFTP = "sftp:keeper@backup.example.org:/dhis2"
KEYS: dict[str, object] = {"backupSshKey": ssh_key(), "backupKnownHosts": f"backup.example.org {PUBLIC_KEY}"}
ANALYTICS = {"analytics.connection.url": "x"}

# what -> settings, the one the error is reported for
INCONSISTENT: dict[str, tuple[dict[str, object], str]] = {
    "heap beyond the container": ({"coreMemory": 2048, "javaOptions": "-Xmx1g -Xmx2g"}, "javaOptions"),
    "heap in gigabytes": ({"javaOptions": "-Xmx3G"}, "javaOptions"),
    "core memory with a unit": ({"coreMemory": "2g", "javaOptions": "-Xmx2g"}, "javaOptions"),
    "heap in megabytes": ({"javaOptions": "-Xss1m -Xmx3072m"}, "javaOptions"),
    "heap in kilobytes": ({"javaOptions": "-Xmx3145728K"}, "javaOptions"),
    "heap in bytes": ({"javaOptions": "-Xmx3221225472"}, "javaOptions"),
    "heap in terabytes": ({"coreMemory": 1048576, "javaOptions": "-Xmx1t"}, "javaOptions"),
    "secure cookies over http": ({"dhisConf": HTTPS}, "dhisConf"),
    "secure cookies in another word": ({"dhisConf": {"server.https": "true"}}, "dhisConf"),
    "secure cookies in capitals": ({"dhisConf": {"server.https": "ON"}}, "dhisConf"),
    "analytics database beside replicas": ({"dhisConf": ANALYTICS}, "dhisConf"),
    "the Docker host as a proxy, reached by all": ({"trustedProxies": "host", "bind": ALL}, "trustedProxies"),
    "a bucket without one of its keys": (
        {"fileStore": "s3://dhis2-files", "fileStoreAccessKey": "key"},
        "fileStoreSecretKey",
    ),
    "a bucket without the other": ({"fileStore": "s3://dhis2-files", "fileStoreSecretKey": "s"}, "fileStoreAccessKey"),
    "its user alone": ({"dhisConf": {"analytics.connection.username": "x"}}, "dhisConf"),
}


@pytest.mark.parametrize(("raw", "key"), INCONSISTENT.values(), ids=INCONSISTENT.keys())
def test_inconsistent_settings_are_refused(raw: dict[str, object], key: str) -> None:
    (line,) = error_lines(raw)
    assert line.startswith(f"  {key}: ") and "; fix: pulumi config" in line


TLS: dict[str, tuple[dict[str, object], str]] = {
    "a CA without a host name": ({"tls": "acme", "acmeEmail": "me@example.org"}, "hostname"),
    "a CA without an account": ({"tls": "acme", "hostname": "dhis2.example.org"}, "acmeEmail"),
    "credentials without a provider": (
        {**ACME, "acmeDnsCredentials": {"CLOUDFLARE_DNS_API_TOKEN": "x"}},
        "acmeDnsCredentials",
    ),
    "one port for http and https": ({"tls": "selfSigned", "port": 8443}, "httpsPort"),
    "an address with http": ({"tls": "selfSigned", "baseUrl": "http://dhis2.example.org"}, "baseUrl"),
}


@pytest.mark.parametrize(("raw", "key"), TLS.values(), ids=TLS.keys())
def test_settings_of_tls_that_do_not_fit_are_refused(raw: dict[str, object], key: str) -> None:
    (line,) = error_lines(raw)
    assert line.startswith(f"  {key}: ") and "; fix: pulumi config" in line


def test_your_own_certificate_needs_a_key_and_a_host_name() -> None:
    lines = error_lines({"tls": "certificate"})
    assert [line.split(":")[0].strip() for line in lines] == ["hostname", "tlsCertificate", "tlsKey"]


def test_a_repository_on_sftp_needs_a_private_key_and_host_keys() -> None:
    lines = error_lines({"backupRepository": SFTP})
    assert [line.split(":")[0].strip() for line in lines] == ["backupSshKey", "backupKnownHosts"]
    assert "ssh-keyscan -p PORT HOST" in lines[1]
    assert error_lines({"backupRepository": SFTP, **KEYS}) == []
    lines = error_lines({"backupRepository": SFTP, "backupSshKey": "no-such-file"})
    assert [line.split(":")[0].strip() for line in lines] == ["backupSshKey", "backupKnownHosts"], "all at once"


@pytest.mark.parametrize("repository", ["", "rest:https://host/x"])
def test_keys_of_sftp_have_no_effect_on_other_repositories_and_are_warned_of(repository: str) -> None:
    warnings = list(consistency_warnings(parse_settings({"backupRepository": repository, **KEYS})))
    assert [warning.rpartition(": ")[2] for warning in warnings] == [f"pulumi config rm {key}" for key in KEYS]
    assert not list(consistency_warnings(parse_settings({"backupRepository": SFTP, **KEYS})))


def test_a_port_that_no_ca_connects_to_is_warned_of() -> None:
    (warning,) = consistency_warnings(parse_settings(ACME))
    assert "the CA connects to port 80" in warning
    for settings in ({"port": 80}, {"acmeDnsProvider": "cloudflare"}, {"tls": "off"}):
        assert not list(consistency_warnings(parse_settings({**ACME, **settings})))


CONSISTENT: dict[str, dict[str, object]] = {
    "https": {"baseUrl": "https://dhis2.example.org", "dhisConf": HTTPS},
    "https of the load balancer": {"tls": "selfSigned", "dhisConf": HTTPS},
    "https on a port of a router": {**ACME, "baseUrl": "https://dhis2.example.org"},
    "https in capitals": {"baseUrl": "HTTPS://dhis2.example.org", "dhisConf": HTTPS},
    "the Docker host as a proxy": {"trustedProxies": "host", "bind": "::1"},
    "other proxies, reached by all": {"trustedProxies": "10.0.0.5", "bind": ALL},
    "no secure cookies": {"dhisConf": {"server.https": "off"}},
    "an analytics database without replicas": {"replicas": 0, "dhisConf": ANALYTICS},
    "a heap with room": {"javaOptions": "-Xmx2g", "coreMemory": 3072},
    "the last of two heaps": {"javaOptions": "-Xmx4g -Xmx2g"},
    "just below, in megabytes": {"javaOptions": "-Xmx3071m"},
    "just below, in kilobytes": {"javaOptions": "-Xmx3145727k"},
    "just below, in bytes": {"javaOptions": "-Xmx3221225471"},
    "an option that ends like it": {"javaOptions": "-Dour.note=-Xmx4g"},
}


@pytest.mark.parametrize("raw", CONSISTENT.values(), ids=CONSISTENT.keys())
def test_consistent_settings_are_valid(raw: dict[str, object]) -> None:
    assert error_lines(raw) == []


def test_the_command_for_a_heap_that_is_too_large_sets_a_core_memory_it_fits_into() -> None:
    (line,) = error_lines({"javaOptions": "-Xmx4g"})
    assert line.endswith("; fix: pulumi config set coreMemory 6144")
    assert error_lines({"javaOptions": "-Xmx4g", "coreMemory": 6144}) == []


def test_the_command_for_a_heap_that_fits_into_no_core_removes_the_options() -> None:
    (line,) = error_lines({"coreMemory": 1048576, "javaOptions": "-Xmx1t"})
    assert line.endswith("; fix: pulumi config rm javaOptions")


def test_inconsistent_settings_are_reported_beside_invalid_ones() -> None:
    lines = error_lines({"coreMemory": 2048, "javaOptions": "-Xmx2g", "port": "x"})
    assert [line.split(":")[0].strip() for line in lines] == ["port", "javaOptions"]


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ({"coreMemory": "lots", "javaOptions": "-Xmx4g"}, "coreMemory"),
        ({"baseUrl": "x", "dhisConf": HTTPS}, "baseUrl"),
        ({"replicas": "many", "dhisConf": ANALYTICS}, "replicas"),
    ],
)
def test_an_invalid_setting_is_not_reported_for_a_consistency_rule_too(raw: dict[str, object], key: str) -> None:
    (line,) = error_lines(raw)
    assert line.startswith(f"  {key}: "), "one error for one setting"
