"""Secrets of a stack file: valid only when they are stored encrypted, and in no message."""

import pytest

from components.settings.parsing import parse_settings
from tests.unit.test_settings import PASSWORD, error_lines

# What a stack file may contain -> keys that are stored encrypted
NEVER_SHOWN: dict[str, tuple[dict[str, object], set[str]]] = {
    "text of dhisConf that is no JSON": ({"dhisConf": '{"oidc.secret": "s3cret"'}, set()),
    "text for a map": ({"dhisConf": "s3cret"}, set()),
    "a value of dhisConf that is no text": ({"dhisConf": {"oidc.secret": ["s3cret"]}}, set()),
    "a key of the program": ({"dhisConf": {"redis.password": "s3cret"}}, set()),
    "the password": ({"adminPassword": "s3cret"}, {"adminPassword"}),
    "an encrypted value": ({"image": "s3cret UPPER"}, {"image"}),
    "an encrypted version": ({"version": "s3cret"}, {"version"}),
    "the tag of an encrypted image": ({"image": "dhis2/core:2.3733"}, {"image"}),
    "a value to set made of an encrypted one": ({"baseUrl": "s3cret.example.org"}, {"baseUrl"}),
    "an encrypted size": ({"coreMemory": "3733g"}, {"coreMemory"}),
    "a heap in encrypted options": ({"javaOptions": "-Xmx3733g"}, {"javaOptions"}),
    "an encrypted address beside dhisConf": (
        {"baseUrl": "http://s3cret.example.org", "dhisConf": {"server.https": "on"}},
        {"baseUrl"},
    ),
    "an address to set made of a file": ({"dumpUrl": "s3cret.example.org/d.sql.gz"}, {"dumpUrl"}),
    "a login in an address": ({"dumpUrl": "https://me:s3cret@example.org:99999/x?token=s3cret"}, set()),
    "a login in an address that cannot be parsed": ({"dumpUrl": "https://me:s3cret@[x/?token=s3cret"}, set()),
    "a login in the address of an app": ({"apps": ["https://me:s3cret@example.org:99999/x?a=s3cret"]}, set()),
    "a login beside an invalid app": ({"apps": ["https://me:s3cret@example.org/x", "no-such.zip"]}, set()),
    "encrypted apps": ({"apps": ["s3cret.zip", "https://s3cret.example.org/x", "s3cret"]}, {"apps"}),
    "a login at a Docker Engine": ({"dockerHost": "ssh://root:s3cret@host"}, set()),
}


@pytest.mark.parametrize(("raw", "encrypted"), NEVER_SHOWN.values(), ids=NEVER_SHOWN.keys())
def test_a_secret_is_in_no_message(raw: dict[str, object], encrypted: set[str]) -> None:
    lines = error_lines(raw, secret_keys={f"dhis2-cluster:{key}" for key in encrypted})
    assert len(lines) == 1, "it is refused"
    for secret in ("s3cret", "3733", str(3733 * 1024), str(3733 * 1024 * 3 // 2)):
        assert secret not in lines[0], "every message is in the logs of this run"


def test_a_value_that_is_not_secret_is_shown() -> None:
    assert '"two"' in error_lines({"cores": "two"})[0], "you should see which value is invalid"
    assert error_lines({"baseUrl": "x.example.org"})[0].endswith("config set baseUrl https://x.example.org")


def test_printed_settings_show_no_secret() -> None:
    settings = parse_settings({"adminPassword": PASSWORD, "dhisConf": {"oidc.secret": "s3cret"}})
    assert PASSWORD not in f"{settings!r} {settings}" and "s3cret" not in repr(settings)
    assert settings.admin_password and settings.admin_password.get_secret_value() == PASSWORD


def test_a_password_stored_as_plaintext_is_refused() -> None:
    (line,) = error_lines({"adminPassword": PASSWORD}, secret_keys=())
    assert line.endswith("pulumi config set --secret adminPassword") and PASSWORD not in line
    assert error_lines({"adminPassword": PASSWORD}, secret_keys={"dhis2-cluster:adminPassword"}) == []
