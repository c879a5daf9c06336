"""The password of the user admin works when `up` ends, and a database keeps its encryption password when it moves."""

from pathlib import Path

import pytest

from components.orchestrator.container_paths import FILES
from tests.e2e.conftest import MakeStack
from tests.support.commands import execute, stdout_of
from tests.support.stack import ADMIN, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.simulator]

FIRST, SECOND = "Correct-Horse-7", "Battery-Staple-8"
OTHER = "another-encryption-password"


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    """Deploy a core on a blank database, with a password of the user admin."""
    stack = make_stack(cores=1, replicas=0, dumpUrl="none")
    stack.set_secret(adminPassword=FIRST)
    stack.up()
    return stack


def status(stack: Stack, password: str) -> int:
    """Return the HTTP status of a request as admin."""
    with stack.client(auth=("admin", password)) as client:
        return client.get("/api/me").status_code


def test_the_password_of_admin_works_on_a_blank_database_when_up_ends(stack: Stack) -> None:
    assert status(stack, FIRST) == 200
    assert status(stack, ADMIN[1]) == 401, "everyone knows this one"
    started = stack.container("core-1").attrs["State"]["StartedAt"]
    assert "unchanged" in stack.up()
    assert stack.container("core-1").attrs["State"]["StartedAt"] == started, "a verified password is set once"


def test_another_encryption_password_changes_nothing_in_a_preview_and_in_up(stack: Stack) -> None:
    before = stack.containers()
    stack.set_secret(encryptionPassword=OTHER)
    preview = stack.pulumi("preview", "--stack", stack.name)
    assert preview.code != 0
    for text in (preview.text, stack.failing_up()):
        assert "the stack's database was used with another encryption password" in text
        assert "Traceback" not in text, "the message is the last thing to read"
        assert OTHER not in text and stack.outputs()["encryptionPassword"] not in text
    assert stack.containers() == before
    assert status(stack, FIRST) == 200, "DHIS2 still answers"
    stack.unset("encryptionPassword")
    assert stack.changes() == {}


def test_another_value_of_admin_password_is_the_password_of_admin(stack: Stack) -> None:
    stack.sql("UPDATE userinfo SET disabled = true WHERE username = 'admin'")
    stack.set_secret(adminPassword=SECOND)
    assert "the account is disabled" in stack.failing_up()
    stack.sql("UPDATE userinfo SET disabled = false WHERE username = 'admin'")
    stack.up()
    assert (status(stack, SECOND), status(stack, FIRST)) == (200, 401)


def test_a_backup_is_restored_into_a_new_stack_only_with_its_encryption_password(stack: Stack, tmp_path: Path) -> None:
    encryption = stack.outputs()["encryptionPassword"]
    stack.sql("CREATE TABLE e2e_moved (n int)")
    dump = tmp_path / "backup.dump"
    command = ["pg_dump", "-h", "/var/run/postgresql", "-U", "postgres", "-Fc", "dhis"]
    dump.write_bytes(stdout_of(stack.container("primary"), *command))
    _, recorded = execute(stack.container("primary"), "bash", f"{FILES}/passwords.sh", "fingerprint")
    stack.destroy()
    stack.set(dumpUrl=str(dump))
    text = stack.failing_up()
    assert f"was used with another encryption.password (fingerprint {recorded.rpartition('$')[2]})" in text
    stack.set_secret(encryptionPassword=encryption)
    stack.up()
    assert stack.sql("SELECT count(*) FROM e2e_moved") == "0"
    assert f"encryption.password = {encryption}" in stack.inside("core-1", "cat", "/opt/dhis2/dhis.conf")
    assert status(stack, SECOND) == 200
    assert stack.outputs()["encryptionPassword"] == encryption


def test_destroy_leaves_nothing(stack: Stack) -> None:
    stack.destroy()
    assert stack.leftovers() == []
