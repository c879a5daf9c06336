"""What is secret in a stack file: taken only when it is stored encrypted, and never shown again."""

import pytest

from components.settings.parsing import parse_settings
from tests.unit.test_settings import PASSWORD, mistakes

# What a stack file may hold -> keys that are stored encrypted
NEVER_SHOWN: dict[str, tuple[dict[str, object], set[str]]] = {
    "text of dhisConf that is no JSON": ({"dhisConf": '{"oidc.secret": "s3cret"'}, set()),
    "a number for a map": ({"dhisConf": "s3cret"}, set()),
    "a value of dhisConf that is no text": ({"dhisConf": {"oidc.secret": ["s3cret"]}}, set()),
    "a key of the program's": ({"dhisConf": {"redis.password": "s3cret"}}, set()),
    "the password": ({"adminPassword": "s3cret"}, {"adminPassword"}),
    "an encrypted value": ({"image": "s3cret UPPER"}, {"image"}),
    "a hint made of an encrypted value": ({"baseUrl": "s3cret.example.org"}, {"baseUrl"}),
    "a size made of an encrypted value": ({"coreMemory": "3733g"}, {"coreMemory"}),
    "a file made an address": ({"dumpUrl": "s3cret.example.org/d.sql.gz"}, {"dumpUrl"}),
    "a login in an address": ({"dumpUrl": "https://me:s3cret@example.org:99999/x?token=s3cret"}, set()),
    "a login in an address nobody can take apart": ({"dumpUrl": "https://me:s3cret@[x/?token=s3cret"}, set()),
    "a login at an engine": ({"dockerHost": "ssh://root:s3cret@host"}, set()),
}


@pytest.mark.parametrize(("raw", "encrypted"), NEVER_SHOWN.values(), ids=NEVER_SHOWN.keys())
def test_what_is_secret_is_in_no_message(raw: dict[str, object], encrypted: set[str]) -> None:
    told = mistakes(raw, secret_keys={f"dhis2-cluster:{key}" for key in encrypted})
    assert len(told) == 1, "it is refused"
    for secret in ("s3cret", "3733", str(3733 * 1024)):
        assert secret not in told[0], "every message is in the logs of this run"


def test_a_value_that_is_not_secret_is_shown() -> None:
    assert '"two"' in mistakes({"cores": "two"})[0], "a person should see what is meant"
    assert mistakes({"baseUrl": "x.example.org"})[0].endswith("config set baseUrl https://x.example.org")


def test_settings_that_are_printed_show_no_secret() -> None:
    settings = parse_settings({"adminPassword": PASSWORD, "dhisConf": {"oidc.secret": "s3cret"}})
    assert PASSWORD not in f"{settings!r} {settings}" and "s3cret" not in repr(settings)
    assert settings.admin_password and settings.admin_password.get_secret_value() == PASSWORD


def test_a_password_stored_in_clear_is_refused() -> None:
    (line,) = mistakes({"adminPassword": PASSWORD}, secret_keys=())
    assert line.endswith("pulumi config set --secret adminPassword") and PASSWORD not in line
    assert mistakes({"adminPassword": PASSWORD}, secret_keys={"dhis2-cluster:adminPassword"}) == []
