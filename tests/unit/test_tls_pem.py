"""Certificates and keys in PEM: which pairs are refused, and why; the self-signed one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from components.tls.pem import CertificateError, check_pair, pair, parse_chain, self_signed
from tests.support.certificates import Authority, ec_key, key_pem, rsa_key

HOST = "dhis2.example.org"
NOW = datetime.now(UTC)
CA = Authority()


def swapped() -> tuple[str, str]:
    """A chain whose intermediate certificate comes first."""
    certificate, key = CA.issue(HOST)
    first, _, rest = certificate.partition("-----END CERTIFICATE-----\n")
    return f"{rest}{first}-----END CERTIFICATE-----\n", key


def encrypted() -> tuple[str, str]:
    """A key with a passphrase."""
    key = ec_key()
    return CA.issue(HOST, key=key)[0], key_pem(key, b"hidden")


def with_text(certificate: str, key: str) -> tuple[str, str]:
    """A pair as `openssl s_client -showcerts` prints it."""
    return certificate.replace("-----BEGIN", " 0 s:CN = dhis2\n-----BEGIN"), key


def with_crlf(certificate: str, key: str) -> tuple[str, str]:
    """A pair with the line ends of Windows."""
    return certificate.replace("\n", "\r\n"), key.replace("\n", "\r\n")


REFUSED: dict[str, tuple[Callable[[], tuple[str, str]], str, str]] = {
    "expired": (lambda: CA.issue(HOST, started=timedelta(days=91)), "tlsCertificate", "has expired on"),
    "not yet valid": (lambda: CA.issue(HOST, started=timedelta(days=-2)), "tlsCertificate", "is valid only from"),
    "for another name": (
        lambda: CA.issue("www.example.org", "example.org"),
        "tlsCertificate",
        "is for www.example.org, example.org, and hostname is dhis2.example.org",
    ),
    "for an address": (lambda: CA.issue("192.0.2.1"), "tlsCertificate", "is for no host name"),
    "a wildcard of two labels": (lambda: CA.issue("*.org"), "tlsCertificate", "is for *.org"),
    "a key that does not fit": (lambda: (CA.issue(HOST)[0], CA.issue(HOST)[1]), "tlsKey", "does not fit"),
    "in another order": (swapped, "tlsCertificate", "behind another one"),
    "an encrypted key": (encrypted, "tlsKey", "is encrypted with a passphrase"),
    "a certificate as key": (lambda: (CA.issue(HOST)[0], CA.issue(HOST)[0]), "tlsKey", "has no private key"),
    "a key as certificate": (lambda: (CA.issue(HOST)[1], CA.issue(HOST)[1]), "tlsCertificate", "has no certificate"),
    "a damaged certificate": (
        lambda: (CA.issue(HOST)[0].replace("MII", "MIX", 1), CA.issue(HOST)[1]),
        "tlsCertificate",
        "has a certificate that cannot be read",
    ),
    "a key that is too short": (lambda: CA.issue(HOST, key=rsa_key(1024)), "tlsKey", "has 1024 bits"),
}


@pytest.mark.parametrize(("texts", "key", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_pair_that_cannot_be_served_is_refused(texts: Callable[[], tuple[str, str]], key: str, reason: str) -> None:
    with pytest.raises(CertificateError) as error:
        check_pair(*texts(), HOST, NOW)
    assert error.value.key == key and reason in str(error.value)


ACCEPTED: dict[str, Callable[[], tuple[str, str]]] = {
    "of an elliptic curve": lambda: CA.issue(HOST),
    "RSA": lambda: CA.issue(HOST, key=rsa_key()),
    "for several names": lambda: CA.issue("example.org", HOST),
    "in upper case": lambda: CA.issue("DHIS2.Example.ORG"),
    "a wildcard": lambda: CA.issue("*.example.org"),
    "with text before it": lambda: with_text(*CA.issue(HOST)),
    "with the line ends of Windows": lambda: with_crlf(*CA.issue(HOST)),
}


@pytest.mark.parametrize("texts", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_pair_that_can_be_served_is_accepted(texts: Callable[[], tuple[str, str]]) -> None:
    chain = check_pair(*texts(), HOST, NOW)
    assert len(chain.certificates) == 2 and chain.until > NOW


def test_a_missing_intermediate_certificate_is_noticed() -> None:
    assert parse_chain(CA.issue(HOST, bundle=False)[0]).is_incomplete
    assert not parse_chain(CA.issue(HOST)[0]).is_incomplete
    assert not parse_chain(self_signed("seed", HOST)).is_incomplete


def test_a_certificate_is_publicly_trusted_where_it_leads_to_a_known_root(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_text(CA.root)
    roots = str(tmp_path / "roots.pem")
    chain = parse_chain(CA.issue(HOST)[0])
    assert chain.is_publicly_trusted(HOST, roots)
    assert not chain.is_publicly_trusted("other.example.org", roots)
    assert not parse_chain(CA.issue(HOST, bundle=False)[0]).is_publicly_trusted(HOST, roots), "incomplete"
    assert not chain.is_publicly_trusted(HOST), "a CA of your own"


@pytest.mark.parametrize("host", [HOST, "127.0.0.1", "::1"])
def test_the_self_signed_certificate_of_a_stack_stays_the_same(host: str) -> None:
    text = self_signed("seed", host)
    assert self_signed("seed", host) == text, "or each up would replace the load balancer"
    assert self_signed("other", host) != text, "no two stacks have the same key"
    certificate = parse_chain(text).server
    certificate.verify_directly_issued_by(certificate)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    assert begin < datetime(2019, 7, 1, tzinfo=UTC), "Apple's limit of 825 days is for certificates from then on"
    assert begin < NOW < end
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert host in [str(name.value) for name in names]


def test_key_and_certificates_are_one_file() -> None:
    text = pair("CERTIFICATE\n\n", "\nKEY\n")
    assert text == "KEY\nCERTIFICATE\n"
