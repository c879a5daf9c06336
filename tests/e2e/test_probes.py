"""The probes of a deployed core: a migration that takes twice readyTimeout is reported, and never ended."""

import time

import pytest

from tests.e2e.conftest import MakeStack
from tests.support.waiting import until_logged

pytestmark = [pytest.mark.e2e, pytest.mark.simulator]

READY_TIMEOUT_SECONDS = 30
# Flyway can read its history and not add to it.
LOCK = "begin; lock table flyway_schema_history in share mode; select pg_sleep(3600)"
RELEASE = "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'"


def release(version: str) -> dict[str, str]:
    """The settings that choose a release of the simulator."""
    return {"version": version, "image": f"dhis2-cluster/dhis2-simulator:{version}"}


def test_a_migration_that_waits_for_a_lock_is_reported_and_not_ended(make_stack: MakeStack, dumps: str) -> None:
    stack = make_stack(**release("2.42.5"), cores=1, replicas=0, dumpUrl=f"{dumps}/small.sql.gz")
    stack.up()
    stack.container("primary").exec_run(["psql", "-U", "postgres", "-d", "dhis", "-c", LOCK], detach=True)
    stack.wait_sql("select count(*) from pg_locks where mode = 'ShareLock' and granted", "1", "primary")

    stack.set(**release("2.43.1"), readyTimeout=READY_TIMEOUT_SECONDS)
    text = stack.failing_up()
    migrating_since = time.monotonic() - READY_TIMEOUT_SECONDS
    assert "(starting: DHIS2 is starting or migrating the database" in text, "`up` reports what it waited for"
    assert "pulumi config set readyTimeout 60 && pulumi up" in text, "and how to wait longer"

    stack.set(readyTimeout=10 * READY_TIMEOUT_SECONDS)
    changes = stack.changes()
    assert not {part: change for part, change in changes.items() if "replace" in change}, "the migration goes on"

    core = stack.container("core-1").id
    until_logged(stack.container("core-1"), "watchdog: DHIS2 is still starting or migrating the database after")
    time.sleep(max(migrating_since + 2 * READY_TIMEOUT_SECONDS - time.monotonic(), 0))
    stack.sql(RELEASE)
    stack.up()
    after = stack.container("core-1")
    assert (after.id, after.attrs["RestartCount"]) == (core, 0), "no time limit ends a migration"
