"""A dump is restored once per machine: later databases start from a copy in the dump cache, each with its passwords."""

from pathlib import Path

import pytest

from components.database.passwords import has_fingerprint
from components.orchestrator.container_paths import FILES
from tests.e2e.conftest import MakeStack
from tests.support.stack import ADMIN, Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.simulator]

PASSWORD = "Correct-Horse-7"  # noqa: S105
ROWS = "SELECT count(*) FROM datavalue"
SYSTEM = "SELECT system_identifier FROM pg_control_system()"
REPORTED = "the database started from the copy of an earlier restore of"


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, new_dump: Path) -> Stack:
    """Deploy a core and a replica; the dump is restored."""
    stack = make_stack(cores=1, replicas=1, dumpUrl=new_dump)
    stack.set_secret(adminPassword=PASSWORD)
    assert REPORTED not in stack.up()
    assert "keeping a copy in the dump cache" in stack.log("primary")
    assert "no copy of the restored database is kept" not in stack.log("primary")
    return stack


def status(stack: Stack, password: str) -> int:
    """Return the HTTP status of a request as admin."""
    with stack.client(auth=("admin", password)) as client:
        return client.get("/api/me").status_code


def starts_from_the_copy(stack: Stack, rows: str) -> None:
    """Assert that the database of a stack came from the copy, and works as a restored one does."""
    assert " jobs\n" not in stack.log("primary"), "nothing is restored"
    assert stack.sql(ROWS) == rows
    recorded = stack.inside("primary", "bash", f"{FILES}/passwords.sh", "fingerprint")
    assert has_fingerprint(stack.outputs()["encryptionPassword"], recorded)
    assert stack.changes() == {}


def test_after_a_destroy_the_database_starts_from_the_copy(stack: Stack) -> None:
    rows, system, encryption = stack.sql(ROWS), stack.sql(SYSTEM), stack.outputs()["encryptionPassword"]
    stack.sql("CREATE TABLE e2e_later (n int)")
    stack.destroy()
    assert stack.leftovers() == []
    assert REPORTED in stack.up()
    starts_from_the_copy(stack, rows)
    assert stack.outputs()["encryptionPassword"] != encryption, "it is generated again"
    assert stack.sql(SYSTEM) != system
    assert stack.sql("SELECT to_regclass('e2e_later') IS NULL") == "t", "nothing of the destroyed stack comes back"
    assert (status(stack, PASSWORD), status(stack, ADMIN[1])) == (200, 401)
    stack.sql("CREATE TABLE e2e_replicated AS SELECT 1 AS n")
    stack.wait_sql("SELECT n FROM e2e_replicated", "1", "replica-1")
    assert REPORTED not in stack.up(), "it is reported once"


def test_a_database_whose_volume_was_removed_starts_from_the_copy_and_its_replica_is_cloned_again(stack: Stack) -> None:
    rows = stack.sql(ROWS)
    stack.container("primary").remove(force=True, v=True)
    stack.docker.volumes.get(f"{stack.prefix}-primary-data").remove()
    assert REPORTED in stack.up("--refresh")
    starts_from_the_copy(stack, rows)
    another = "cloning the primary: the primary is another database"
    until(lambda: another in stack.log("replica-1"), "the replica to notice that its data is of another primary")
    stack.wait_sql(ROWS, rows, "replica-1")
    assert status(stack, PASSWORD) == 200


def test_another_stack_starts_from_the_copy_with_the_password_of_its_dump(
    stack: Stack, make_stack: MakeStack, new_dump: Path
) -> None:
    other = make_stack(cores=1, replicas=0, dumpUrl=new_dump)
    assert REPORTED in other.up()
    starts_from_the_copy(other, stack.sql(ROWS))
    assert (status(other, ADMIN[1]), status(other, PASSWORD)) == (200, 401)
    assert other.sql(SYSTEM) != stack.sql(SYSTEM)


def test_another_size_of_the_dump_cache_replaces_the_container_that_fetches_the_dump_alone(stack: Stack) -> None:
    before = stack.containers()
    stack.set(dumpCacheSize="21g")
    stack.up()
    after = stack.containers()
    assert {part for part in before if before[part] != after[part]} == {"dump"}
    assert stack.changes() == {}
