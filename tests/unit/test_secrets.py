"""Secrets: generated well, uploaded only to the containers that need them, never shown."""

import pytest

from tests.support.program import GENERATED, Registered, Run

PASSWORD = "random:index/randomPassword:RandomPassword"  # noqa: S105 - a resource type
HIDDEN = "https://me:secret@example.org/d.sql.gz?token=secret"


@pytest.mark.parametrize("settings", [{}, {"adminPassword": "Correct-Horse-7"}], ids=["the dump's own", "chosen"])
def test_the_passwords_of_dhis2_are_the_secret_outputs(built: Run, settings: dict[str, object]) -> None:
    assert built(**settings).secret_outputs == {"adminPassword", "encryptionPassword"}, (
        "`pulumi up` prints all others at its end"
    )


def test_no_output_shows_the_login_of_the_dump(built: Run) -> None:
    outputs = built(dumpUrl=HIDDEN).outputs
    assert outputs["dump"] == "https://example.org/d.sql.gz", "it names the source of the data"
    assert "secret" not in str(outputs), "outputs are printed in every log"


def test_generated_passwords_are_long_and_need_no_escaping(built: Run) -> None:
    generated = built().of(PASSWORD)
    assert all(password.inputs["length"] >= 32 for password in generated), "they are never typed, so they may be long"
    assert not any(password.inputs["special"] for password in generated), "they go into files of four syntaxes"


def lines(container: Registered, start: str) -> list[str]:
    """Return the lines of dhis.conf that begin with a key."""
    return [line for line in container.files["/opt/dhis2/dhis.conf"].splitlines() if line.startswith(start)]


def test_each_use_has_its_own_password_and_both_sides_have_the_same(built: Run) -> None:
    recorded = built(replicas=1)
    secrets = "/opt/dhis2-cluster/secrets"
    primary, replica = recorded.container("primary").files, recorded.container("replica-1").files
    assert primary[f"{secrets}/app-password"] == f"{GENERATED}database-password"
    assert primary[f"{secrets}/replication-password"] == f"{GENERATED}replication-password"
    assert replica[f"{secrets}/replication-password"] == f"{GENERATED}replication-password"
    assert not any(f"{GENERATED}database-password" in text for text in replica.values()), "a replica needs no other"
    cache = recorded.container("cache").files
    assert cache[f"{secrets}/cache-password"] == f"{GENERATED}cache-password", "the healthcheck reads it there"
    assert f"{GENERATED}cache-password" in cache["/opt/dhis2-cluster/valkey.conf"]
    core = recorded.container("core-1")
    for key, use in (("connection.password", "database"), ("redis.password", "cache"), ("encryption.", "encryption")):
        (line,) = lines(core, key)
        assert line.endswith(f"{GENERATED}{use}-password"), f"{key}: one password must not open the others"


def test_cores_are_deleted_before_the_password_they_connect_with(built: Run) -> None:
    before = {password.name: password.request.deleteBeforeReplace for password in built().of(PASSWORD)}
    assert before["database-password"] and before["cache-password"], "an old core would answer with errors"
    assert not before["encryption-password"], "another one is refused, and the cores run on with the old one"
