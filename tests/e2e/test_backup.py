"""Backups of a deployed stack, and what is lost and comes back: steps in their order."""

import json
import uuid
from typing import Any

import pytest

from tests.e2e.conftest import MakeStack
from tests.support.stack import ADMIN, Stack, log_in
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.simulator]

ROWS = "SELECT count(*) FROM datavalue"
PASSWORD = "Correct-Horse-7"  # noqa: S105 - a test's own
CONTENT = f"uploaded {uuid.uuid4().hex}"
kept: dict[str, str] = {}  # what someone has written down: ids, passwords, and what was in the database


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, dumps: str) -> Stack:
    """Deploy two cores and a replica whose data is kept, with a file that was uploaded."""
    stack = make_stack(cores=2, replicas=1, dumpUrl=f"{dumps}/small.sql.gz", keepData="true")
    stack.set_secret(adminPassword=PASSWORD)
    text = stack.up()
    assert "has made a new repository" in text and "pulumi stack output backupPassword" in text
    kept["password"] = stack.outputs()["backupPassword"]
    assert kept["password"] not in text
    with stack.client(auth=("admin", PASSWORD)) as client:
        upload = client.post("/api/fileResources", files={"file": ("note.txt", CONTENT)}).json()
        kept["file"] = upload["response"]["fileResource"]["id"]
        stored = f"/api/fileResources/{kept['file']}"
        until(lambda: client.get(stored).json()["storageStatus"] == "STORED", "the upload to be stored")
    stack.sql(
        "SET ROLE dhis; CREATE TABLE public.e2e_kept (n int); INSERT INTO e2e_kept SELECT generate_series(1, 500)"
    )
    kept["rows"] = stack.sql(ROWS)
    return stack


def command(stack: Stack, *arguments: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the JSON of a verb that must succeed."""
    done = stack.command(*arguments, "--json")
    assert done.code == 0, done.text
    return json.loads(done.stdout)


def lose(stack: Stack) -> None:
    """Change what the backup has."""
    stack.sql("DELETE FROM e2e_kept; DELETE FROM datavalue")
    stack.inside("backup", "sh", "-c", "rm -rf /files/*; echo new >/files/new")


def assert_restored(stack: Stack) -> None:
    """Everything that the backup has is back, and DHIS2 answers."""
    assert stack.sql("SELECT count(*) FROM e2e_kept") == "500"
    assert stack.sql(ROWS) == kept["rows"]
    if "replica-1" in stack.containers():
        stack.wait_sql("SELECT count(*) FROM e2e_kept", "500", "replica-1")
    with stack.client(auth=("admin", PASSWORD)) as client:
        assert client.get("/api/me").status_code == 200
        assert client.get(f"/api/fileResources/{kept['file']}/data").text == CONTENT
    with stack.client(auth=ADMIN) as client:
        assert client.get("/api/me").status_code == 401, "everyone knows this one"


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    assert stack.changes() == {}
    refreshed = stack.pulumi("preview", "--refresh", "--expect-no-changes", "--stack", stack.name)
    assert refreshed.code == 0, refreshed.text
    assert "has made a new repository" not in stack.up(), "once"


def test_a_backup_is_made_and_shown(stack: Stack) -> None:
    kept["set"] = command(stack, "backup")["set"]
    (listed,) = command(stack, "backups")
    assert listed["set"] == kept["set"] and listed["stack"] == stack.prefix and listed["secret"]
    status = command(stack, "status")
    assert status["last_backup"]["set"] == kept["set"]
    assert status["last_check"] >= status["last_backup"]["at"]
    kept["encryption"] = stack.outputs()["encryptionPassword"]


def test_a_restore_brings_rows_and_files_back_also_with_keep_data(stack: Stack) -> None:
    before = stack.containers()
    started = {part: stack.container(part).attrs["State"]["StartedAt"] for part in ("core-1", "core-2")}
    with stack.client(cookies=log_in(stack, PASSWORD)) as client:
        assert client.get("/api/me").status_code == 200
        lose(stack)
        done = stack.command("restore", "--yes")
        assert done.code == 0, done.text
        assert client.get("/api/me").status_code != 200, "a session of the database before"
    assert_restored(stack)
    assert stack.containers() == before, "Pulumi's state still describes the stack"
    first, second = (stack.container(part).attrs["State"]["StartedAt"] for part in ("core-1", "core-2"))
    assert max(started.values()) < first < second, "both were stopped, and the first migrates the database alone"
    assert stack.changes() == {}
    assert "the database was restored again" not in stack.up()


def test_the_same_backup_is_restored_again(stack: Stack) -> None:
    lose(stack)
    assert command(stack, "restore", kept["set"], "--yes")["set"] == kept["set"]
    assert_restored(stack)


def test_only_the_files_are_restored(stack: Stack) -> None:
    stack.sql("INSERT INTO e2e_kept VALUES (501)")
    stack.inside("backup", "sh", "-c", "rm -rf /files/*")
    command(stack, "restore", "--files-only", "--yes")
    assert stack.sql("SELECT count(*) FROM e2e_kept") == "501"
    stack.sql("DELETE FROM e2e_kept WHERE n = 501")
    assert_restored(stack)


def test_a_lost_database_volume_comes_back(stack: Stack) -> None:
    stack.container("primary").remove(force=True, v=True)
    stack.docker.volumes.get(f"{stack.prefix}-primary-data").remove()
    stack.up("--refresh")
    assert stack.attempt_sql("SELECT count(*) FROM e2e_kept")[0] != 0, "the dump has no such table"
    assert stack.command("restore", "--yes").code == 0
    assert_restored(stack)


def test_a_lost_stack_and_state_come_back_with_repository_and_password_alone(stack: Stack) -> None:
    stack.destroy()
    for volume in stack.docker.volumes.list(filters={"name": f"{stack.prefix}-"}):
        if volume.name != f"{stack.prefix}-backup":
            volume.remove()
    assert stack.leftovers() == [f"{stack.prefix}-backup"]
    smaller = {"dumpUrl": "none", "cores": "1", "replicas": "0"}
    other = Stack(stack.name, stack.folder.with_name("again") / stack.name, stack.docker, {**stack.settings, **smaller})
    text = other.up()
    assert "the repository was made with another password than the one of this stack" in text
    assert other.command("backups").code == 1
    other.set_secret(backupPassword=kept["password"], adminPassword=PASSWORD)
    assert "another password" not in other.up()
    assert other.outputs()["encryptionPassword"] != kept["encryption"], "a new stack generates its own"
    done = other.command("restore", "--yes")
    assert done.code == 0, done.text
    assert kept["encryption"] not in done.text and kept["password"] not in done.text
    assert other.outputs()["encryptionPassword"] == kept["encryption"]
    assert f"encryption.password = {kept['encryption']}" in other.inside("core-1", "cat", "/opt/dhis2/dhis.conf")
    assert_restored(other)
    assert other.changes() == {}
    other.destroy()
    until(lambda: not other.containers(), "the stack to be removed")
