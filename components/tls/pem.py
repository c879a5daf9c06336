"""Certificates and keys in PEM: what is in them, whether they fit, and a self-signed pair. Imports no Pulumi.

Imported where it is used: the import of cryptography takes a tenth of a second, and most stacks need it in no `up`.
"""

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

LEAST_RSA_BITS = 2048
ORDER_OF_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# Fixed, or each `up` would make another certificate. Apple's systems refuse one that begins after 1 July 2019 and is
# valid for more than 825 days.
SELF_SIGNED_FROM, SELF_SIGNED_UNTIL = datetime(2019, 6, 1, tzinfo=UTC), datetime(2049, 6, 1, tzinfo=UTC)


class CertificateError(Exception):
    """Why a certificate or its key cannot be used: the setting it is about, and a text that follows its name."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


@dataclass(frozen=True)
class Chain:
    """The certificates of a PEM text; the first one is the server's."""

    certificates: Sequence[x509.Certificate]

    @property
    def server(self) -> x509.Certificate:
        """The server's own certificate."""
        return self.certificates[0]

    @property
    def until(self) -> datetime:
        """The moment it expires."""
        return self.server.not_valid_after_utc

    @property
    def names(self) -> list[str]:
        """The host names it is for; browsers read no others."""
        try:
            names = self.server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return []
        return [name.lower() for name in names.get_values_for_type(x509.DNSName)]

    def is_for(self, hostname: str) -> bool:
        """Return whether it is for a host name; a wildcard stands for one label."""
        return not {hostname, f"*.{hostname.partition('.')[2]}"}.isdisjoint(self.names)

    @property
    def is_incomplete(self) -> bool:
        """Return whether it has no certificate of its issuer, and is not self-signed."""
        return len(self.certificates) == 1 and self.server.issuer != self.server.subject

    def is_publicly_trusted(self, hostname: str, roots: str | None = None) -> bool:
        """Return whether browsers trust it: whether it leads to one of the `roots` (a PEM file), by default Mozilla's.

        At the beginning of its validity, so that the result does not depend on the date.
        """
        with open(roots or certifi.where(), "rb") as file, warnings.catch_warnings():
            # Some roots have serial numbers that a later cryptography refuses.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            store = Store(x509.load_pem_x509_certificates(file.read()))
        moment = self.server.not_valid_before_utc + timedelta(hours=1)
        verifier = PolicyBuilder().store(store).time(moment).build_server_verifier(x509.DNSName(hostname))
        try:
            verifier.verify(self.server, list(self.certificates[1:]))
        except VerificationError:
            return False
        return True


def parse_chain(pem: str) -> Chain:
    """Return the certificates of a PEM text. Raises CertificateError where it has none, or a damaged one."""
    blocks = [block for block in pem.split("-----BEGIN ") if block.startswith("CERTIFICATE-----")]
    try:
        found = [x509.load_pem_x509_certificate(f"-----BEGIN {block}".encode()) for block in blocks]
    except ValueError as error:
        raise CertificateError("tlsCertificate", f"has a certificate that cannot be read ({error})") from None
    if not found:
        raise CertificateError("tlsCertificate", "has no certificate")
    return Chain(found)


def check_pair(certificate: str, key: str, hostname: str, now: datetime) -> Chain:
    """Return the chain of a certificate that can be served with its key. Raises CertificateError with the reason."""
    chain = parse_chain(certificate)
    server = chain.server
    public = _public_key(key)
    if _spki(server.public_key()) != public:
        others = [other for other in chain.certificates if _spki(other.public_key()) == public]
        if others:
            raise CertificateError("tlsCertificate", "has the server's certificate behind another one: put it first")
        raise CertificateError("tlsKey", f"does not fit the certificate in tlsCertificate ({_subject(server)})")
    if server.not_valid_after_utc <= now:
        raise CertificateError("tlsCertificate", f"has expired on {server.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    if server.not_valid_before_utc > now:
        raise CertificateError("tlsCertificate", f"is valid only from {server.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    if not chain.is_for(hostname):
        names = ", ".join(chain.names) or "no host name"
        raise CertificateError("tlsCertificate", f"is for {names}, and hostname is {hostname}")
    _check_strength(server)
    return chain


def pair(certificate: str, key: str) -> str:
    """Return a key and its certificates as the one file that NGINX reads."""
    return f"{key.strip()}\n{certificate.strip()}\n"


def self_signed(seed: str, host: str, *, for_clients: bool = False) -> str:
    """Return PEM text of a key and its self-signed certificate for a host name or address; always the same for a seed.

    With `for_clients` a server can take it from clients, too. The signature is deterministic too (RFC 6979),
    so the text changes with its arguments only.
    """
    number = int.from_bytes(hashlib.sha512(seed.encode()).digest()) % (ORDER_OF_P256 - 1) + 1
    key = ec.derive_private_key(number, ec.SECP256R1())
    try:
        names: list[x509.GeneralName] = [x509.IPAddress(ip_address(host))]
    except ValueError:
        names = [x509.DNSName(host)]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if for_clients else [])]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(hashlib.sha256(f"{seed} {host}".encode()).digest()[:16]) >> 1 | 1)
        .not_valid_before(SELF_SIGNED_FROM)
        .not_valid_after(SELF_SIGNED_UNTIL)
        .add_extension(x509.SubjectAlternativeName([*names, x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    return pair(_pem(certificate), _key_pem(key))


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: CertificateIssuerPrivateKeyTypes) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "without a subject"


def _spki(key: object) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, form)  # type: ignore[attr-defined, no-any-return]


def _public_key(key: str) -> bytes:
    try:
        private = serialization.load_pem_private_key(key.encode(), password=None)
    except TypeError:
        text = (
            "is encrypted with a passphrase that NGINX cannot ask for; decrypt it: openssl pkey -in FILE -out FILE.key"
        )
        raise CertificateError("tlsKey", text) from None
    except ValueError:
        raise CertificateError("tlsKey", "has no private key that can be read") from None
    return _spki(private.public_key())


def _check_strength(server: x509.Certificate) -> None:
    """Raise CertificateError for what OpenSSL refuses in each handshake, at its default security level."""
    public, hashed = server.public_key(), server.signature_hash_algorithm
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < LEAST_RSA_BITS:
        raise CertificateError("tlsKey", f"has {public.key_size} bits, and TLS refuses RSA below {LEAST_RSA_BITS}")
    if hashed is not None and hashed.digest_size < hashes.SHA224.digest_size:
        raise CertificateError("tlsCertificate", f"is signed with {hashed.name.upper()}, which TLS refuses")
