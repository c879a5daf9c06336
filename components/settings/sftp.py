"""The validators of a backup repository on SFTP: its address, the private key, and the host keys of its server."""

import re

from components.settings.validators import file_text, invalid

FORMS = "sftp:user@host:/path or sftp://user@host:port//path"
_HOST = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"  # one that begins with a dash would be an option of ssh
_ADDRESS = re.compile(rf"sftp:[^\s/:]+@{_HOST}:\S+")
_URL = re.compile(rf"sftp://[^\s/:]+@({_HOST}|\[[0-9a-fA-F:.]+\])(:\d{{1,5}})?/\S+")
_PUBLIC_KEY = r"(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[\w@.-]+[ \t]+[A-Za-z0-9+/]{20,}"
_KNOWN_HOST = re.compile(rf"(?:@\S+[ \t]+)?[^\s#@]\S*[ \t]+{_PUBLIC_KEY}")


def address(value: str) -> str:
    """Return the address of a repository on SFTP, in one of the forms that restic reads."""
    if re.match(r"sftp://[^/@\s]*:[^/@\s]*@", value):
        raise invalid("has a password in it: SFTP logs in with the private key in backupSshKey")
    if re.match(r"sftp:[^/:\s]+:\d{1,5}/", value):
        raise invalid("has a port, which needs the form sftp://user@host:port//path")
    if not _ADDRESS.fullmatch(value) and not _URL.fullmatch(value):
        raise invalid("is not the address of a repository: {forms}", forms=FORMS)
    if re.match(r"(sftp://[^/]+/|sftp:[^/:]+:)~", value):
        raise invalid("has a path with ~: one that does not begin with / begins at the user's home directory")
    return value


def private_key(value: object) -> str:
    """Return a private key, from a file or its text, in the form that ssh reads: lines, of which the last one ends."""
    is_text = isinstance(value, str) and re.search(f"-----BEGIN |{_PUBLIC_KEY}", value)
    content = str(value) if is_text else file_text(value, "latin-1")
    if "PuTTY-User-Key-File" in content:
        raise invalid("is a key of PuTTY; convert it: puttygen FILE -O private-openssh -o NEW_FILE")
    if re.match(_PUBLIC_KEY, content):
        raise invalid("is the public key; name the file of the private one, which has no .pub at its end")
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see components/tls/pem.py
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        load_pem_private_key,
        load_ssh_private_key,
    )

    key = "\n".join(content.split("\r\n")).strip() + "\n"
    try:
        (load_ssh_private_key if "BEGIN OPENSSH" in key else load_pem_private_key)(key.encode(), None)
    except TypeError:
        raise invalid(
            "has a passphrase, which a backup by schedule cannot ask for; remove it from a copy: ssh-keygen -p -f COPY"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise invalid("is no private key that ssh can use by itself; make one: ssh-keygen -t ed25519 -f FILE") from None
    return key


def known_hosts(value: object) -> str:
    """Return lines of ssh's known_hosts, from a file or their text."""
    content = value if isinstance(value, str) and re.search(_PUBLIC_KEY, value) else file_text(value, "latin-1")
    lines = [line.strip() for line in content.splitlines()]
    if not any(_KNOWN_HOST.match(line) for line in lines):
        raise invalid("has no line with a host and its key, which this prints: ssh-keyscan -p PORT HOST")
    return "\n".join([line for line in lines if line]) + "\n"
