"""A backup of one stack comes into another one; a killed restore leaves the database before."""

import subprocess

import pytest

from tests.e2e.conftest import MakeStack
from tests.support.commands import execute
from tests.support.stack import ADMIN, Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.simulator]

SMALL = {"cores": 1, "replicas": 0, "backupSchedule": "manual"}
OLDER = {"version": "2.42.5", "image": "dhis2-cluster/dhis2-simulator:2.42.5"}
MIGRATION = "SELECT version FROM flyway_schema_history ORDER BY installed_rank DESC LIMIT 1"


@pytest.fixture(scope="module")
def source(make_stack: MakeStack, dumps: str) -> Stack:
    """Deploy a core of an older release, with rows and a file of its own."""
    stack = make_stack(**SMALL, **OLDER, dumpUrl=f"{dumps}/small.sql.gz")
    stack.up()
    stack.sql(
        "SET ROLE dhis; CREATE TABLE public.e2e_moved (n int); INSERT INTO e2e_moved SELECT generate_series(1, 10)"
    )
    stack.inside("core-1", "sh", "-c", "echo uploaded >/opt/dhis2/files/note")
    return stack


@pytest.fixture(scope="module")
def destination(make_stack: MakeStack, source: Stack) -> Stack:
    """Deploy a core on a blank database, of the same project."""
    stack = make_stack(source, **SMALL, dumpUrl="none")
    stack.up()
    return stack


def test_a_backup_is_restored_into_another_stack_with_its_encryption_password(
    source: Stack, destination: Stack
) -> None:
    migrated = destination.sql(MIGRATION)
    assert source.sql(MIGRATION) != migrated
    assert source.command("backup").code == 0
    done = source.command("restore", "--into", destination.name, "--yes")
    assert done.code == 0, done.text
    assert destination.sql("SELECT count(*) FROM e2e_moved") == "10"
    assert destination.sql(MIGRATION) == migrated, "the newer DHIS2 migrates it"
    assert destination.inside("core-1", "cat", "/opt/dhis2/files/note") == "uploaded"
    assert destination.outputs()["encryptionPassword"] == source.outputs()["encryptionPassword"]
    with destination.client(auth=ADMIN) as client:
        assert client.get("/api/me").status_code == 200
    assert destination.changes() == {} and source.changes() == {}
    assert not source.inside("backup", "sh", "-c", "ls -d /var/tmp/unpacked /files/.unpacked 2>/dev/null || true")


def test_a_backup_of_a_newer_release_is_refused(source: Stack, destination: Stack) -> None:
    assert destination.command("backup").code == 0
    started = source.container("core-1").attrs["State"]["StartedAt"]
    done = destination.command("restore", "--into", source.name, "--yes")
    assert done.code == 2 and f"pulumi config set version 2.43.1 -s {source.name}" in done.text
    assert source.container("core-1").attrs["State"]["StartedAt"] == started, "nothing was stopped"


def test_a_restore_whose_primary_is_killed_leaves_the_database_before(source: Stack) -> None:
    source.sql("INSERT INTO e2e_moved VALUES (11)")
    restore = subprocess.Popen(
        source.command_line("restore", "--yes", "--database-only"),
        cwd=source.folder,
        env=source.command_environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: "restoring backup" in source.log("primary"), "the restore to begin")
    execute(source.container("primary"), "pkill", "-KILL", "-f", "database.sh")
    text, _ = restore.communicate(timeout=300)
    assert restore.returncode == 1, text
    assert "and the one before is kept" in text
    assert source.sql("SELECT count(*) FROM e2e_moved") == "11"
    source.wait_healthy("core-1")
    assert source.command("restore", "--yes", "--database-only").code == 0, "the next one succeeds"
    assert source.sql("SELECT count(*) FROM e2e_moved") == "10"
    assert source.changes() == {}
