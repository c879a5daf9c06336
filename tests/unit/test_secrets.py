"""What is secret on its way through the program: made well, given to those who need it, shown to nobody."""

import pytest

from tests.unit.program import GENERATED, Registered, Run

PASSWORD = "random:index/randomPassword:RandomPassword"  # noqa: S105 - a resource type
HIDDEN = "https://me:secret@example.org/d.sql.gz?token=secret"


@pytest.mark.parametrize("settings", [{}, {"adminPassword": "Correct-Horse-7"}], ids=["the dump's own", "chosen"])
def test_the_admin_password_is_the_one_secret_output(built: Run, settings: dict[str, object]) -> None:
    assert built(**settings).secret_outputs == {"adminPassword"}, "`pulumi up` prints all others at its end"


def test_no_output_shows_the_login_of_the_dump(built: Run) -> None:
    outputs = built(dumpUrl=HIDDEN).outputs
    assert outputs["dump"] == "https://example.org/d.sql.gz", "it tells where the data is from"
    assert "secret" not in str(outputs), "outputs are printed in every log"


def test_generated_passwords_are_long_and_mean_the_same_in_every_file(built: Run) -> None:
    generated = built().of(PASSWORD)
    assert all(each.inputs["length"] >= 32 for each in generated), "nobody types them, so nobody should guess them"
    assert not any(each.inputs["special"] for each in generated), "they go into files of four syntaxes"


def lines(found: Registered, start: str) -> list[str]:
    """The lines of dhis.conf that begin with a key."""
    return [line for line in found.files["/opt/dhis2/dhis.conf"].splitlines() if line.startswith(start)]


def test_each_use_has_a_password_of_its_own_and_both_sides_have_the_same(built: Run) -> None:
    recorded = built(replicas=1)
    secrets = "/opt/dhis2-cluster/secrets"
    primary, replica = recorded.container("primary").files, recorded.container("replica-1").files
    assert primary[f"{secrets}/app-password"] == f"{GENERATED}database-password"
    assert primary[f"{secrets}/replication-password"] == f"{GENERATED}replication-password"
    assert replica[f"{secrets}/replication-password"] == f"{GENERATED}replication-password"
    assert not any(f"{GENERATED}database-password" in text for text in replica.values()), "a replica needs no other"
    cache = recorded.container("cache").files
    assert cache[f"{secrets}/cache-password"] == f"{GENERATED}cache-password", "health checks read it there"
    assert f"{GENERATED}cache-password" in cache["/opt/dhis2-cluster/valkey.conf"]
    core = recorded.container("core-1")
    for key, use in (("connection.password", "database"), ("redis.password", "cache"), ("encryption.", "encryption")):
        (line,) = lines(core, key)
        assert line.endswith(f"{GENERATED}{use}-password"), f"{key}: who knows one must not know the others"
