"""Private keys of SSH in the forms that people have them in."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)


def ssh_key(form: PrivateFormat = PrivateFormat.OpenSSH, passphrase: bytes = b"") -> str:
    """Return a new private key as text."""
    hidden: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, form, hidden).decode()
