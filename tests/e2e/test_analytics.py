"""Dashboards of a restored dump have data: DHIS2 builds the analytics tables once, in the background. Steps in their
order."""

import json

import pytest

from components.orchestrator.container_paths import FILES
from tests.e2e.clients import json_at_core
from tests.e2e.conftest import MakeStack
from tests.support.stack import Stack, log_in
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.simulator]

JOBS = "SELECT count(*) FROM jobconfiguration WHERE jobtype = 'ANALYTICS_TABLE' AND schedulingtype = 'ONCE_ASAP'"


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, dumps: str) -> Stack:
    """Initialise a stack of one core and a replica."""
    return make_stack(cores=1, replicas=1, dumpUrl=f"{dumps}/small.sql.gz", analytics="true")


def progress(stack: Stack) -> str:
    """Return what the command that `up` names prints."""
    return stack.inside("primary", "bash", f"{FILES}/analytics.sh")


def test_up_ends_and_dhis2_builds_the_analytics_tables_in_the_background(stack: Stack) -> None:
    text = stack.up()
    assert "DHIS2 builds the analytics tables in the background (job " in text
    assert f"dhis2-cluster status -s {stack.name}" in text
    until(lambda: progress(stack) == "done", "the analytics tables")
    assert json.loads(stack.command("status", "--json").stdout)["analytics"] == "done"
    stack.wait_sql("SELECT count(*) > 0 FROM analytics", "t", "replica-1")
    element = stack.sql("SELECT dx FROM analytics LIMIT 1", "replica-1")
    assert json_at_core(stack, "core-1", log_in(stack), f"/api/analytics?dimension=dx:{element}")["rows"]


def test_they_are_not_built_again_by_another_up_or_for_a_database_that_is_kept(stack: Stack) -> None:
    assert "analytics tables" not in stack.up()
    assert stack.changes() == {}
    stack.set(keepData="true", backupSchedule="off")
    stack.up()
    stack.destroy()
    assert "analytics tables" not in stack.up()
    assert stack.sql(JOBS) == "1"


def test_a_job_that_fails_is_a_warning_with_the_reason_and_fails_no_up(stack: Stack) -> None:
    stack.set(keepData="false")
    stack.up()
    stack.destroy()
    stack.set(analytics="false")
    stack.up()
    assert progress(stack).startswith("due")
    stack.sql("ALTER TABLE datavalue RENAME TO away")
    stack.set(analytics="true")
    assert "(job " in stack.up()
    until(lambda: progress(stack).startswith("failed"), "the job to fail")
    assert "could not build the analytics tables, which dashboards read: 42P01" in stack.up()
    assert stack.sql(JOBS) == "1", "a heavy job does not begin by itself"


def test_destroy_leaves_nothing(stack: Stack) -> None:
    stack.destroy()
    assert stack.leftovers() == []
