"""`dhis2-cluster` on a deployed stack: steps in their order."""

import json
import time
import uuid
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import SAMPLE, MakeStack
from tests.support.followed_logs import followed
from tests.support.stack import ADMIN, Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.scenario]


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    """Deploy two cores and a replica."""
    stack = make_stack(cores=2, replicas=1, dumpUrl=str(SAMPLE))
    stack.up()
    return stack


def status(stack: Stack, code: int = 0) -> dict[str, Any]:
    """Return the status of a stack, which must have an exit code."""
    done = stack.command("status", "--json")
    assert done.code == code, f"status exited with {done.code}:\n{done.text}"
    return dict(json.loads(done.stdout))


def part(stack: Stack, name: str, code: int = 0) -> dict[str, Any]:
    """Return the status of a part."""
    return next(dict(entry) for entry in status(stack, code)["parts"] if entry["part"] == name)


def test_status_of_a_stack_after_up_is_healthy_and_complete(stack: Stack) -> None:
    shown = status(stack)
    assert shown["url"] == stack.outputs()["url"]
    parts = {entry["part"]: entry for entry in shown["parts"]}
    assert set(parts) == set(stack.containers())
    running = [entry for entry in parts.values() if entry["part"] != "dump"]
    assert all(0 < entry["memory_bytes"] < entry["memory_limit_bytes"] for entry in running)
    assert all(entry["version"] for entry in parts.values())
    volumes = {entry["volume"]: entry["used_bytes"] for entry in shown["volumes"]}
    assert {"primary-data", "replica-1-data", "files", "cache-data"} <= set(volumes)
    assert volumes["primary-data"] > 10_000_000


def test_the_leader_is_the_one_that_dhis2_reports(stack: Stack) -> None:
    with stack.client(auth=ADMIN) as client:
        leader = client.get("/api/cluster/leader").json()["leaderNodeId"]
    assert [entry["part"] for entry in status(stack)["parts"] if entry["leader"]] == [leader]


def test_a_read_that_reaches_a_replica_is_counted_there(stack: Stack) -> None:
    before = part(stack, "replica-1")["database"]["table_scans"]
    with stack.client(auth=ADMIN) as client:
        for _ in range(10):
            items = client.get("/api/dataItems", params={"query": uuid.uuid4().hex[:6]})
            assert items.status_code == httpx.codes.OK
    until(lambda: part(stack, "replica-1")["database"]["table_scans"] > before, "the reads to be counted")
    database = part(stack, "replica-1")["database"]
    assert database["read_sessions"] > 0
    assert database["state"] == "streaming"


def test_a_replica_that_does_not_replay_is_behind_in_bytes_and_seconds(stack: Stack) -> None:
    stack.sql("SELECT pg_wal_replay_pause()", "replica-1")
    stack.sql("CREATE TABLE e2e_lag AS SELECT generate_series(1, 100000) AS n")
    time.sleep(1)
    done = stack.command("status", "--json")
    stack.sql("SELECT pg_wal_replay_resume()", "replica-1")
    databases = {entry["part"]: entry["database"] for entry in json.loads(done.stdout)["parts"]}
    assert databases["replica-1"]["lag_bytes"] > 1_000_000
    assert databases["replica-1"]["lag_seconds"] > 0
    until(lambda: part(stack, "replica-1")["database"]["lag_bytes"] < 1_000_000, "the replica to catch up")


def test_logs_are_of_all_parts_in_the_order_of_their_time(stack: Stack) -> None:
    done = stack.command("logs", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["part"] for line in lines} == set(stack.containers())
    seconds = [line["time"][:19] for line in lines]
    assert seconds == sorted(seconds)
    of_cores = stack.command("logs", "core", "--tail", "1").stdout.splitlines()
    assert {line.split(" ")[0] for line in of_cores} == {"core-1", "core-2"}


def test_following_a_log_goes_on_after_a_restart_of_its_part(stack: Stack) -> None:
    mark = f"/{uuid.uuid4().hex}"
    with followed(stack, "lb") as printed:
        assert stack.command("restart", "lb").code == 0
        with stack.client() as client:
            client.get(mark)
        until(lambda: mark in printed(), "the request to be in the log")
    assert printed().count(mark) == 1


def test_psql_reads_a_script_and_a_replica_refuses_writes(stack: Stack) -> None:
    assert stack.command("psql", "--", "-At", stdin="SELECT 6 * 7").stdout.strip() == "42"
    refused = stack.command("psql", "replica-1", "--", "-c", "CREATE TABLE e2e_no (n int)")
    assert refused.code == 1 and "read-only" in refused.text, "the exit code is psql's own"


@pytest.mark.simulator
def test_analytics_ends_with_tables_or_with_dhis2_s_reason(stack: Stack) -> None:
    stack.sql("CREATE VIEW analytics_temp AS SELECT 1")
    failed = stack.command("analytics", "--wait")
    assert failed.code == 1
    assert '"analytics_temp" is not a table' in failed.text
    stack.sql("DROP VIEW analytics_temp")
    built = stack.command("analytics", "--wait")
    assert built.code == 0, built.text
    assert "Analytics tables updated" in built.text
    assert int(stack.sql("SELECT count(*) FROM analytics")) > 0


def test_a_part_that_was_stopped_is_reported(stack: Stack) -> None:
    stack.container("core-2").stop()
    assert part(stack, "core-2", code=1)["health"] == "exited"
    assert stack.command("shell", "core-2").text.startswith("error: core-2 is not running (exited)")


def test_a_stopped_stack_starts_with_its_data(stack: Stack) -> None:
    before = stack.containers()
    stack.sql("CREATE TABLE e2e_kept AS SELECT 1 AS n")
    assert stack.command("stop").code == 0
    assert {stack.container(name).attrs["State"]["Status"] for name in before} == {"exited"}
    assert {entry["health"] for entry in status(stack, 1)["parts"]} == {"exited", "completed"}
    started = stack.command("start")
    assert started.code == 0, started.text
    assert status(stack)["healthy"] is True
    assert stack.sql("SELECT n FROM e2e_kept", "replica-1") == "1"
    with stack.client() as client:
        until(lambda: client.get("/api/ping").status_code == httpx.codes.OK, "DHIS2 to answer")
    assert stack.containers() == before
    assert stack.changes() == {}, "for Pulumi nothing has happened"
