"""`dhis2-cluster` on a stack on three nodes: steps in their order."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.followed_logs import followed
from tests.support.load import Load, reads
from tests.support.project import SIMULATOR
from tests.support.stack import ADMIN
from tests.support.waiting import until
from tests.swarm.lab import Swarm
from tests.swarm.stacks import SwarmStack, deployed

pytestmark = [pytest.mark.swarm, pytest.mark.scenario]

IMAGE = f"{SIMULATOR.partition(':')[0]}:2.41.4"
ROWS = "SELECT count(*) FROM datavalue"
kept: dict[str, str] = {}


@pytest.fixture(scope="module")
def stack(swarm: Swarm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwarmStack]:
    """Deploy two cores with backups; the databases are on two nodes, neither of which is asked."""
    nodes = {"primaryNode": "node-2", "replicaNodes": '["node-3"]', "lbNodes": '["node-1", "node-3"]'}
    folder = tmp_path_factory.mktemp("stack")
    with deployed(swarm, folder, image=IMAGE, cores=2, backupSchedule="manual", **nodes) as stack:
        yield stack


def command(stack: SwarmStack, *arguments: str, code: int = 0) -> Any:  # noqa: ANN401 - any JSON
    """Return the JSON of a verb that must have an exit code."""
    done = stack.stack.command(*arguments, "--json")
    assert done.code == code, f"{arguments[0]} exited with {done.code}:\n{done.text}"
    return json.loads(done.stdout)


def part(shown: Any, name: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the first part of a name in a status."""
    return next(entry for entry in shown["parts"] if entry["part"] == name)


def answers(stack: SwarmStack) -> bool:
    """Return whether DHIS2 lets its user admin in through both load balancers."""
    password = stack.stack.outputs()["adminPassword"]
    urls = [stack.url(stack.swarm.nodes[number]) for number in (0, 2)]
    return all(httpx.get(f"{url}/api/me", auth=(ADMIN[0], password)).status_code == httpx.codes.OK for url in urls)


def test_status_after_up_has_all_nodes_and_where_the_parts_run(stack: SwarmStack) -> None:
    shown = command(stack, "status")
    assert shown["url"] == stack.stack.outputs()["url"]
    assert [(node["node"], node["role"]) for node in shown["nodes"]] == [
        ("node-1", "manager"),
        ("node-2", "worker"),
        ("node-3", "worker"),
    ]
    running = {
        node.hostname: sorted(
            name
            for name, found in ((each, stack.containers(each)) for each in ("lb", "cache", "primary", "replica-1"))
            if node.hostname in found
        )
        for node in stack.swarm.nodes
    }
    cores = {"core-1", "core-2", "backup"}
    assert {node["node"]: sorted(set(node["parts"]) - cores) for node in shown["nodes"]} == running
    parts = [entry["part"] for entry in shown["parts"]]
    assert parts == ["lb", "lb", "core-1", "core-2", "cache", "primary", "replica-1", "backup", "backup-tools", "dump"]
    assert all(entry["version"] for entry in shown["parts"])
    assert part(shown, "replica-1")["database"]["state"] == "streaming"
    databases = [entry for entry in shown["volumes"] if entry["volume"].startswith("database")]
    assert {entry["node"] for entry in databases} == {"node-2", "node-3"}, "two may have one name"
    assert all(entry["used_bytes"] > 10_000_000 for entry in databases)
    assert stack.stack.command("status").code == 0


def test_the_leader_is_the_one_that_dhis2_reports(stack: SwarmStack) -> None:
    auth = (ADMIN[0], stack.stack.outputs()["adminPassword"])
    url = stack.url(stack.swarm.nodes[0])
    leader = httpx.get(f"{url}/api/cluster/leader", auth=auth).json()["leaderNodeId"]
    hosts = {"core-1": "core-1", "core-2": "cores-1"}
    shown = [entry["part"] for entry in command(stack, "status")["parts"] if entry["leader"]]
    assert [hosts[name] for name in shown] == [leader]


def logged(stack: SwarmStack) -> list[Any]:
    """Return the lines of all logs."""
    return [json.loads(line) for line in stack.stack.command("logs", "--json").stdout.splitlines()]


def parts_of(lines: list[Any]) -> set[tuple[str, str]]:
    """Return the parts and nodes of lines."""
    return {(line["part"], line["node"]) for line in lines}


def test_logs_are_of_all_tasks_with_their_nodes_in_the_order_of_time(stack: SwarmStack) -> None:
    assert answers(stack), "or a load balancer has nothing to log"
    placed = {("primary", "node-2"), ("replica-1", "node-3"), ("lb", "node-1"), ("lb", "node-3")}
    until(lambda: placed <= parts_of(logged(stack)), "the lines of all nodes")
    lines = logged(stack)
    found = parts_of(lines)
    assert {name for name, _ in found} >= {"core-1", "core-2", "cache", "dump", "backup"}
    seconds = [line["time"][:19] for line in lines]
    assert seconds == sorted(seconds)
    of_core = stack.stack.command("logs", "core-2", "--tail", "1").stdout.splitlines()
    assert len(of_core) == 1 and of_core[0].startswith("core-2 node-")


def test_following_a_log_goes_on_after_a_restart_of_its_part(stack: SwarmStack) -> None:
    mark = f"/{uuid.uuid4().hex}"
    with followed(stack.stack, "lb") as printed:
        assert stack.stack.command("restart", "lb").code == 0
        for number in (0, 2):
            httpx.get(f"{stack.url(stack.swarm.nodes[number])}{mark}")
        until(lambda: printed().count(mark) == 2, "both requests to be in the log")
    nodes = {line.split("|")[0].split()[1] for line in printed().splitlines() if mark in line}
    assert nodes == {"node-1", "node-3"}


def test_psql_reads_a_script_on_another_node_and_a_replica_refuses_writes(stack: SwarmStack) -> None:
    assert stack.stack.command("psql", "--", "-At", stdin="SELECT 6 * 7").stdout.strip() == "42"
    refused = stack.stack.command("psql", "replica-1", "--", "-c", "CREATE TABLE no (n int)")
    assert refused.code == 1 and "read-only" in refused.text, "the exit code is psql's own"


def test_a_command_runs_with_the_files_of_a_part(stack: SwarmStack) -> None:
    done = stack.stack.command("shell", "backup", "--", "sh", "-c", "echo $STACK; cat; exit 3", stdin="an input")
    assert (done.code, done.stdout) == (3, f"{stack.stack.prefix}\nan input")
    assert stack.stack.command("shell", "lb", "--", "hostname").code == 0, "in the container on the node that is asked"


@pytest.mark.simulator
def test_analytics_ends_with_tables(stack: SwarmStack) -> None:
    built = stack.stack.command("analytics", "--wait")
    assert built.code == 0, built.text
    assert "Analytics tables updated" in built.text


def test_a_rolling_restart_fails_no_request(stack: SwarmStack) -> None:
    node = stack.swarm.nodes[0]
    before = stack.container("core-1").id, stack.container("core").id
    with Load(stack.url(node), stack.log_in(node), choose=reads, clients=4) as load:
        until(lambda: load.answered() > 50, "some requests before")
        assert command(stack, "restart") == {"restarted": ["core-1", "core"]}
    assert not load.failures, f"failed requests: {dict(load.failures)}: {load.first_failure}"
    assert not {*before} & {stack.container("core-1").id, stack.container("core").id}


def test_a_backup_is_made_and_shown(stack: SwarmStack) -> None:
    kept["rows"] = stack.sql(ROWS)
    made = command(stack, "backup")
    assert made["bucket"] == "dhis2-files", "and no files are in it"
    kept["set"] = made["set"]
    assert [entry["set"] for entry in command(stack, "backups")] == [made["set"]]
    shown = command(stack, "status")
    assert shown["last_backup"]["set"] == made["set"] and shown["last_check"]


def test_a_restore_brings_back_what_was_lost(stack: SwarmStack) -> None:
    stack.sql("DELETE FROM datavalue")
    restored = command(stack, "restore", "--yes")
    assert restored["set"] == kept["set"] and restored["parts"] == "database"
    assert stack.sql(ROWS) == kept["rows"] != "0"
    until(lambda: stack.sql(ROWS, "replica-1") == kept["rows"], "the replica to have it, too")
    assert answers(stack)


def test_a_reset_goes_back_to_the_dump(stack: SwarmStack) -> None:
    stack.sql("CREATE TABLE public.swarm_new (n int)")
    assert command(stack, "reset", "--yes")["dump"].startswith("the dump")
    assert stack.sql("SELECT to_regclass('public.swarm_new') IS NULL") == "t"
    assert answers(stack)


def test_a_stack_that_is_stopped_has_no_tasks_and_starts_with_as_many_as_before(stack: SwarmStack) -> None:
    before = stack.services()
    command(stack, "stop")
    assert set(stack.services().values()) == {0}
    shown = command(stack, "status", code=1)
    assert f"dhis2-cluster start -s {stack.stack.name}" in part(shown, "core-2")["reason"]
    command(stack, "start")
    # DHIS2 serves without backups, so start does not wait for them.
    until(lambda: stack.services() == before, "the backup to run, too")
    assert answers(stack)
    done = stack.stack.pulumi("preview", "--refresh", "--expect-no-changes", "--stack", stack.stack.name)
    assert done.code == 0, f"nothing of it is left in the services:\n{done.text}"


def test_a_task_that_ends_is_shown_with_its_reason_and_node(stack: SwarmStack) -> None:
    stack.container("replica-1").kill()
    until(lambda: part(_status(stack), "replica-1")["restarts"] == 1, "the failure to be noticed")
    until(lambda: part(_status(stack), "replica-1")["healthy"], "another task to run")
    first = stack.stack.command("logs", "replica-1", "--json").stdout.splitlines()
    assert {json.loads(line)["node"] for line in first} == {"node-3"}, "also of the task that has ended"


def test_a_drained_node_and_what_waits_for_it_are_shown(stack: SwarmStack) -> None:
    node = stack.swarm.nodes[2]
    stack.swarm.drain(node)
    until(lambda: part(_status(stack), "replica-1")["health"] == "pending", "the replica to wait")
    until(lambda: part(_status(stack), "core-2")["healthy"], "the cores to run elsewhere")
    shown = command(stack, "status", code=1)
    assert "no suitable node" in part(shown, "replica-1")["reason"]
    assert shown["nodes"][2]["availability"] == "drain" and shown["nodes"][2]["parts"] == []
    stack.swarm.activate(node)
    until(lambda: _status(stack)["healthy"], "everything to run again")


def _status(stack: SwarmStack) -> Any:  # noqa: ANN401 - any JSON
    """Return the status, healthy or not."""
    return json.loads(stack.stack.command("status", "--json").stdout)
