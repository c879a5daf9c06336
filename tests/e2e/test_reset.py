"""A stack goes back to its dump, also to the same one: steps in their order."""

import json
from pathlib import Path

import pytest

from components.orchestrator.container_paths import FILES
from tests.e2e.conftest import MakeStack
from tests.support.stack import ADMIN, Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.simulator]

ROWS = "SELECT count(*) FROM datavalue"
ANALYTICS = ("bash", f"{FILES}/analytics.sh")


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, new_dump: Path) -> Stack:
    """Deploy two cores and a replica; in the database and among the files is what users have entered."""
    stack = make_stack(cores=2, replicas=1, dumpUrl=new_dump, analytics="true")
    stack.up()
    until(lambda: stack.inside("primary", *ANALYTICS) == "done", "the analytics tables")
    stack.inside("core-1", "sh", "-c", "echo uploaded >/opt/dhis2/files/note")
    return stack


def test_a_reset_goes_back_to_the_same_dump_from_its_copy(stack: Stack) -> None:
    rows = stack.sql(ROWS)
    stack.sql("CREATE TABLE e2e_later (n int); DELETE FROM datavalue")
    stack.wait_sql("SELECT count(*) FROM e2e_later", "0", "replica-1")
    before = stack.containers()
    done = stack.command("reset", "--yes", "--json")
    assert done.code == 0, done.text
    assert json.loads(done.stdout)["stack"] == stack.name
    assert "starting from the copy of an earlier restore of this dump" in stack.log("primary")
    assert stack.sql(ROWS) == rows and stack.attempt_sql("SELECT n FROM e2e_later")[0] != 0
    stack.wait_sql(ROWS, rows, "replica-1")
    assert stack.inside("core-1", "cat", "/opt/dhis2/files/note") == "uploaded", "files stay"
    with stack.client(auth=ADMIN) as client:
        assert client.get("/api/me").status_code == 200
    assert "DHIS2 builds the analytics tables in the background" in done.text
    until(lambda: stack.inside("primary", *ANALYTICS) == "done", "the analytics tables")
    assert stack.containers() == before and stack.changes() == {}
    assert "the database was restored again" not in stack.up(), "the cores started after it"


def test_a_reset_of_kept_data_is_refused(stack: Stack) -> None:
    stack.sql("CREATE TABLE e2e_kept (n int)")
    stack.set(keepData="true", backupSchedule="off")
    for _ in ("before the next up", "after it"):
        done = stack.command("reset", "--yes")
        assert done.code == 2 and "pulumi config set keepData false" in done.text
        assert stack.sql("SELECT count(*) FROM e2e_kept") == "0"
        stack.up()
    stack.set(keepData="false")
    stack.up()
