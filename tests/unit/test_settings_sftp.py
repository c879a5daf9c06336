"""The settings of a backup repository on SFTP: its address, the private key, and the host keys."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from components.settings.parsing import parse_settings
from components.settings.sftp import known_hosts, private_key
from tests.support.ssh_keys import ssh_key
from tests.unit.test_settings import PUBLIC_KEY, error_lines

KEYS: dict[str, object] = {"backupSshKey": ssh_key(), "backupKnownHosts": f"host {PUBLIC_KEY}"}
PUTTY = "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n"


@pytest.mark.parametrize(
    "address",
    [
        "sftp:user@host:/srv/dhis2",
        "sftp:user@backup.example.org:dhis2",
        "sftp:u123-sub1@u123.storage.example.org:./dhis2",
        "sftp:me@example.org@host:/x",
        "sftp://user@host/dhis2",
        "sftp://user@host:2222//srv/dhis2",
        "sftp://user@[2001:db8::1]:22//srv",
    ],
)
def test_the_forms_that_restic_reads_are_valid(address: str) -> None:
    assert parse_settings({"backupRepository": address, **KEYS}).backup_repository == address


# what -> value of backupSshKey, what its error is
UNUSABLE_KEYS: dict[str, tuple[str, str]] = {
    "with a passphrase": (ssh_key(passphrase=b"secret words"), "ssh-keygen -p -f COPY"),
    "with a passphrase, as PEM": (ssh_key(PrivateFormat.PKCS8, b"secret words"), "ssh-keygen -p -f COPY"),
    "of PuTTY": (PUTTY, "puttygen FILE -O private-openssh"),
    "the public one": (f"{PUBLIC_KEY} me@here\n", "is the public key"),
    "cut": (ssh_key()[:200], "make one: ssh-keygen -t ed25519"),
    "a certificate": ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is no private key"),
    "empty": ("\n", "is no private key"),
}


@pytest.mark.parametrize(("content", "reason"), UNUSABLE_KEYS.values(), ids=UNUSABLE_KEYS.keys())
def test_a_key_that_ssh_cannot_use_by_itself_is_refused_with_the_fix(content: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(content)
    (line,) = error_lines({"backupSshKey": str(tmp_path / "key")})
    assert line.startswith("  backupSshKey: ") and reason in line


def test_the_text_of_the_public_key_is_refused_as_such() -> None:
    (line,) = error_lines({"backupSshKey": PUBLIC_KEY})
    assert "is the public key" in line


@pytest.mark.parametrize("form", [PrivateFormat.OpenSSH, PrivateFormat.PKCS8])
def test_a_key_is_read_by_ssh_however_its_lines_end(form: PrivateFormat, tmp_path: Path) -> None:
    key = ssh_key(form)
    for content in (key, key.strip(), key.replace("\n", "\r\n")):
        (tmp_path / "from").write_bytes(content.encode())
        assert private_key(str(tmp_path / "from")) == private_key(content) == key
    (tmp_path / "key").write_text(private_key(key))
    (tmp_path / "key").chmod(0o600)
    if form is PrivateFormat.OpenSSH:
        read = ["ssh-keygen", "-y", "-f", str(tmp_path / "key")]
        assert subprocess.run(read, check=True, capture_output=True, text=True).stdout.startswith("ssh-ed25519 AAAA")


def test_a_key_stored_as_plaintext_is_refused_and_in_no_message() -> None:
    key = ssh_key()
    settings: dict[str, object] = {**KEYS, "backupRepository": "sftp:user@host:/x", "backupSshKey": key}
    (line,) = error_lines(settings, secret_keys=())
    assert line.startswith("  backupSshKey: its value is stored as plaintext") and key.splitlines()[1] not in line
    assert error_lines(settings, secret_keys={"dhis2-cluster:backupSshKey"}) == []


def test_host_keys_are_lines_of_ssh_keyscan(tmp_path: Path) -> None:
    lines = f"# host:22 SSH-2.0-OpenSSH_10.0\nhost {PUBLIC_KEY}\n\n[host]:2222 {PUBLIC_KEY} comment\n"
    (tmp_path / "known_hosts").write_bytes(lines.replace("\n", "\r\n").encode())
    assert known_hosts(str(tmp_path / "known_hosts")) == known_hosts(lines) == lines.replace("\n\n", "\n")
    hashed = f"|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= {PUBLIC_KEY}\n"
    authority = f"@cert-authority *.example.org {PUBLIC_KEY}\n"
    assert known_hosts(hashed) == hashed and known_hosts(authority) == authority


@pytest.mark.parametrize("content", ["", "# host:22 SSH-2.0-OpenSSH_10.0\n", f"{PUBLIC_KEY}\n", "host\n"])
def test_a_file_without_host_keys_is_refused_with_the_command_that_prints_them(content: str, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text(content)
    (line,) = error_lines({"backupKnownHosts": str(tmp_path / "known_hosts")})
    assert "which this prints: ssh-keyscan -p PORT HOST" in line
