"""`dhis2-cluster` on a stack of a swarm: what it shows of nodes and tasks, and what its verbs ask of the manager."""

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError

from cli import services, target
from cli.errors import FAILED, NOT_RUN, CommandError
from cli.services import StackServices
from cli.target import Target
from components.orchestrator.short_lived import ShortLived
from components.orchestrator.swarm.jobs import MOST_CONFIG_BYTES
from tests.unit.cli.engine import PREFIX, PRIMARY, REPLICA, CommandLine
from tests.unit.cli.manager import FakeManager, manager, service, task

__all__ = ["manager"]
PARTS = ["lb", "lb", "core-1", "core-2", "core-3", "cache", "primary", "replica-1", "backup", "dump"]
NO_NODE = "no suitable node (scheduling constraints not satisfied on 3 nodes)"


def report(line: CommandLine, code: int | None = None) -> Any:  # noqa: ANN401 - any JSON
    done = line.run("status", "--json")
    assert code in (None, done), line.error
    return json.loads(line.out)


def part(shown: Any, name: str) -> Any:  # noqa: ANN401 - any JSON
    return next(entry for entry in shown["parts"] if entry["part"] == name)


@pytest.fixture
def line(command_line: CommandLine, manager: FakeManager) -> CommandLine:
    """The command line on a healthy stack."""
    manager.answers |= {
        "primary": json.dumps(PRIMARY),
        "replica-1": json.dumps(REPLICA),
        "cache": "cores-2",
        "backup": "no backup yet",
        "backup renewal": "no backup yet",
        "primary du": "2048\t/x\n/dev/sda 100 40 60 40% /x\n",
    }
    return command_line


def test_status_has_each_task_with_its_node_and_each_node_with_its_parts(line: CommandLine) -> None:
    shown = report(line, 0)
    assert [entry["part"] for entry in shown["parts"]] == PARTS
    assert [entry["node"] for entry in shown["parts"][:5]] == ["node-1", "node-3", "node-1", "node-2", "node-3"]
    assert [node["parts"] for node in shown["nodes"]] == [
        ["lb", "core-1"],
        ["core-2", "primary", "backup"],
        ["lb", "core-3", "cache", "replica-1"],
    ]
    assert [node["role"] for node in shown["nodes"]] == ["manager", "worker", "worker"]
    assert {node["state"] for node in shown["nodes"]} == {"ready"}
    assert shown["url"] == "http://10.0.0.1:8080", "the address of a node with a load balancer"


def test_status_for_people_has_a_table_of_nodes(line: CommandLine) -> None:
    assert line.run("status") == 0, line.out
    rows = [row.split() for row in line.out.splitlines()]
    assert ["NODE", "STATE", "AVAILABILITY", "ROLE", "PARTS"] in rows
    assert ["node-2", "ready", "active", "worker", "core-2,", "primary,", "backup"] in rows
    assert ["PART", "HEALTH", "NODE", "SINCE"] in [row[:4] for row in rows]


def test_status_knows_the_leader_the_version_and_the_replication(line: CommandLine) -> None:
    shown = report(line)
    assert [entry["part"] for entry in shown["parts"] if entry["leader"]] == ["core-3"], "its host name is cores-2"
    assert part(shown, "core-2")["version"] == "DHIS2 2.42.3.1"
    assert part(shown, "cache")["version"] == "cache", "the manager does not have the image, so by its name"
    assert part(shown, "replica-1")["database"]["lag_bytes"] == 512
    assert part(shown, "primary")["memory_limit_bytes"] == 512 * 2**20


def test_volumes_in_memory_are_none(line: CommandLine) -> None:
    sizes = {"used_bytes": 2048 * 1024, "free_bytes": 60 * 1024}
    assert report(line)["volumes"] == [{"volume": "primary-data", "node": "node-2", **sizes}]


def test_volumes_of_one_name_on_two_nodes_are_two(line: CommandLine, manager: FakeManager) -> None:
    mount = {"Type": "volume", "Source": f"{PREFIX}-database-data", "Target": "/var/lib/postgresql"}
    for name in ("primary", "replica-1"):
        changed = manager.part(name)
        changed["Spec"]["TaskTemplate"]["ContainerSpec"]["Mounts"] = [mount]
        changed["tasks"][0]["Spec"] = changed["Spec"]["TaskTemplate"]
    volumes = [(entry["volume"], entry["node"]) for entry in report(line, 0)["volumes"]]
    assert volumes == [("database-data", "node-2"), ("database-data", "node-3")]


def test_a_node_that_is_drained_is_shown_and_its_pinned_part_waits(line: CommandLine, manager: FakeManager) -> None:
    manager.nodes_["node-2"] = {"Spec": {"Availability": "drain"}}
    ended = task(2, "shutdown", desired="shutdown")
    waiting = task(0, "pending", error=NO_NODE, created="2026-05-01T13:00:00Z")
    manager.part("primary")["tasks"] = service("primary", ended, waiting)["tasks"]
    shown = report(line, FAILED)
    assert part(shown, "primary")["health"] == "pending" and part(shown, "primary")["reason"] == NO_NODE
    node = shown["nodes"][1]
    assert node["availability"] == "drain" and node["healthy"], "it is meant to be"
    assert node["parts"] == ["core-2", "backup"]


def test_a_node_that_is_down_is_not_healthy(line: CommandLine, manager: FakeManager) -> None:
    manager.nodes_["node-3"] = {"Status": {"State": "down"}}
    shown = report(line, FAILED)
    assert not shown["nodes"][2]["healthy"]
    assert part(shown, "cache")["reason"] == "its node does not answer on node-3"


def test_nothing_is_asked_on_a_node_that_takes_no_tasks(line: CommandLine, manager: FakeManager) -> None:
    manager.nodes_["node-2"] = {"Spec": {"Availability": "pause"}}
    shown = report(line, 0)
    assert not {"primary", "backup"} & {name for name, _ in manager.ran}, "a task there would wait for its end"
    assert part(shown, "primary")["health"] == "healthy" and part(shown, "primary")["database"] is None
    assert shown["nodes"][1]["parts"] == ["core-2", "primary", "backup"]


def test_a_task_that_fails_again_and_again_has_the_reason_and_the_count(
    line: CommandLine, manager: FakeManager
) -> None:
    tasks = [task(3, "failed", desired="shutdown", code=2, created=f"2026-05-01T12:00:0{n}Z") for n in (1, 2)]
    tasks += [task(3, "starting", created="2026-05-01T12:01:00Z")]
    manager.part("cache")["tasks"] = service("cache", *tasks)["tasks"]
    shown = part(report(line, FAILED), "cache")
    assert (shown["health"], shown["reason"], shown["restarts"]) == ("starting", "exited with code 2 on node-3", 2)


def test_an_update_that_was_paused_is_the_reason(line: CommandLine, manager: FakeManager) -> None:
    manager.part("core")["UpdateStatus"] = {"State": "paused", "Message": "update paused due to failure of task x"}
    shown = report(line, FAILED)
    assert part(shown, "core-2")["reason"].startswith("was not updated: update paused")
    assert not part(shown, "core-3")["healthy"]


def test_a_task_of_an_older_spec_is_being_replaced(line: CommandLine, manager: FakeManager) -> None:
    manager.part("cache")["tasks"][0]["Spec"]["ContainerSpec"]["Image"] = "older"
    assert "is replaced" in part(report(line, FAILED), "cache")["reason"]


def test_a_service_that_is_missing_is_named(line: CommandLine, manager: FakeManager) -> None:
    manager.services_.remove(manager.part("cache"))
    assert part(report(line, FAILED), "cache")["reason"].startswith("has no service; create it: pulumi up --refresh")


def test_logs_have_part_and_node_of_each_line_in_the_order_of_time(line: CommandLine, manager: FakeManager) -> None:
    manager.logged = {
        "core-1-2-running": ["2026-05-01T12:00:02.0Z second"],
        "core-2-3-running": ["2026-05-01T12:00:03.0Z third"],
        "core-1-1-1-running": ["2026-05-01T12:00:01.0Z first"],
        "lb-0-1-running": ["2026-05-01T12:00:00.0Z zeroth"],
    }
    assert line.run("logs") == 0, line.error
    rows = [[word.strip() for word in row.split("|")] for row in line.out.splitlines()]
    assert rows == [
        ["lb node-1", "zeroth"],
        ["core-1 node-1", "first"],
        ["core-2 node-2", "second"],
        ["core-3 node-3", "third"],
    ]
    assert line.run("logs", "core-3", "--json") == 0
    assert json.loads(line.out) == {
        "time": "2026-05-01T12:00:03.0Z",
        "part": "core-3",
        "node": "node-3",
        "line": "third",
    }
    assert line.run("logs", "core") == 0 and len(line.out.splitlines()) == 3
    assert line.run("logs", "core-9") == NOT_RUN and "has no part core-9" in line.error


def test_logs_of_tasks_that_have_ended_are_shown_and_those_that_never_began_have_none(
    line: CommandLine, manager: FakeManager
) -> None:
    sources = StackServices(line.find()).log_sources(["dump", "cache"])
    assert [(source.part, source.state) for source in sources] == [("cache", "running"), ("dump", "complete")]
    manager.part("cache")["tasks"] = service("cache", task(0, "pending"))["tasks"]
    assert StackServices(line.find()).log_sources(["cache"]) == []
    manager.part("cache")["tasks"] = service("cache", task(1, "starting"))["tasks"]
    assert StackServices(line.find()).log_sources(["cache"])[0].state == "running", "it is followed while it starts"


def test_a_node_whose_logs_are_missing_is_named_once(
    line: CommandLine, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Iterator[bytes]:
        yield from ()
        raise APIError("no answer")

    monkeypatch.setattr(services, "read_task_log", refuse)
    assert line.run("logs") == 0
    assert len([row for row in line.error.splitlines() if "logs of node-3 are missing" in row]) == 1


def test_a_node_that_is_down_is_not_asked_for_its_logs(line: CommandLine, manager: FakeManager) -> None:
    manager.nodes_["node-3"] = {"Status": {"State": "down"}}
    manager.logged = {"core-1-1-1-running": ["2026-05-01T12:00:01.0Z first"], "core-2-3-running": ["x never read"]}
    assert line.run("logs", "core") == 0
    assert line.out == "core-1 node-1 | first\n"
    assert "warning: logs of node-3 are missing, such as that of core-3: it is down" in line.error


def test_a_docker_engine_that_is_no_manager_is_named_with_the_fix(line: CommandLine, manager: FakeManager) -> None:
    manager.swarm = {"LocalNodeState": "active", "RemoteManagers": [{"Addr": "10.0.0.1:2377"}]}
    for verb in ("status", "logs", "restart", "stop"):
        assert line.run(verb) == NOT_RUN
        assert "is a worker, and only a manager takes changes (managers: 10.0.0.1)" in line.error


def test_a_stack_without_services_is_not_deployed(line: CommandLine, manager: FakeManager) -> None:
    manager.services_ = []
    assert line.run("status") == NOT_RUN
    assert "stack dev has no services on the swarm of" in line.error


def test_stop_scales_to_no_task_in_order_and_start_brings_them_all_back(
    line: CommandLine, manager: FakeManager
) -> None:
    assert line.run("stop") == 0, line.error
    stopped = [step.removeprefix("stop ") for step in manager.done]
    assert set(stopped[:2]) == {"lb", "backup"} and set(stopped[2:4]) == {"core-1", "core"} and stopped[-1] == "primary"
    assert "dump" not in stopped
    shown = report(line, FAILED)
    reasons = {entry["part"]: entry["reason"] for entry in shown["parts"]}
    assert reasons["core-3"] == "was scaled to no tasks; start it: dhis2-cluster start -s dev"
    assert reasons["lb"] == reasons["core-3"], "a global service, too"
    manager.done.clear()
    assert line.run("start") == 0, line.error
    started = [step.removeprefix("start ") for step in manager.done]
    assert set(started[:2]) == {"lb", "primary"} and started[4:6] == ["core-1", "core"]
    assert manager.part("core")["Spec"]["Mode"] == {"Replicated": {"Replicas": 2}}, "as many as before"
    assert manager.part("core")["Spec"]["Labels"] == {}
    assert manager.part("lb")["Spec"]["TaskTemplate"]["Placement"] == {"Constraints": []}


def test_restart_replaces_one_service_after_the_other(line: CommandLine, manager: FakeManager) -> None:
    assert line.run("restart") == 0, line.error
    assert manager.done == ["restart core-1", "restart core"]
    assert line.run("restart", "cache") == 0
    assert manager.done[-1] == "restart cache"


def test_a_backup_runs_beside_its_task_with_its_progress(line: CommandLine, manager: FakeManager) -> None:
    manager.configs["environment-of-backup"] = (
        "# Sourced\nexport BUCKET='dhis2-files'\nexport KEEP='daily=7 weekly=4'\n"
    )
    manager.answers["backup"] = "0a1b2c3d\n"
    assert line.run("backup", "--json") == 0, line.error
    assert json.loads(line.out) == {"set": "0a1b2c3d", "bucket": "dhis2-files"}
    assert manager.ran == [("backup", ["bash", "/opt/dhis2-cluster/backup.sh", "create"])]
    assert "progress" in line.error


def test_the_environment_is_read_from_the_config_of_a_service(line: CommandLine, manager: FakeManager) -> None:
    manager.configs["environment-of-backup"] = "# a comment's quote\nexport A='x y'\nexport B='it'\"'\"'s=1'\n"
    stack = StackServices(line.find())
    assert stack.environment(stack.running("backup")) == {"A": "x y", "B": "it's=1"}
    assert stack.environment(stack.running("cache")) == {}


def test_a_script_that_connects_to_its_own_container_is_read_with_the_name_of_the_service(line: CommandLine) -> None:
    assert StackServices(line.find()).sourced("/client.sh", "cache") == (
        "eval \"$(sed 's/127[.]0[.]0[.]1/cache/' /client.sh)\""
    )


def test_dhis2_is_asked_with_a_password_on_no_command_line(line: CommandLine, manager: FakeManager) -> None:
    line.outputs = {"username": "admin", "adminPassword": "secret"}
    manager.answers["lb"] = '{"response": {"id": "abc"}}\n200'
    assert line.run("analytics") == 0, line.error
    assert 'user = "admin:secret"' in manager.inputs[0]
    assert not [word for _, command in manager.ran for word in command if "secret" in word]


def test_psql_takes_a_command_on_a_terminal_and_a_script_from_its_input(
    line: CommandLine, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.answers["primary"] = "42\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT 6 * 7"))
    assert line.run("psql") == 0, line.error
    assert (line.out, manager.inputs) == ("42\n", ["SELECT 6 * 7"])
    monkeypatch.setattr(sys.stdin, "read", lambda: pytest.fail("behind ssh it never ends"))
    assert line.run("psql", "--", "-Atc", "SELECT 42") == 0, line.error
    assert manager.ran[-1][1][-3:] == ["-Atc", "SELECT 42", "dhis"]


def test_a_session_on_another_node_is_refused_with_both_ways_to_have_it(
    line: CommandLine, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert line.run("psql") == NOT_RUN
    assert "primary runs on node-2" in line.error and "dhis2-cluster psql primary -s dev -- -c" in line.error
    assert "docker exec -it container-2-" in line.error
    assert line.run("shell", "cache") == NOT_RUN and "dhis2-cluster shell cache -s dev -- COMMAND" in line.error
    assert manager.ran == []


def test_a_session_on_the_manager_s_own_node_is_opened_in_the_container(
    line: CommandLine, manager: FakeManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\n")
    docker.chmod(0o755)
    line.environment["PATH"] = str(tmp_path)
    became: list[list[str]] = []

    def execve(_: str, arguments: list[str], __: object) -> None:
        became.append(arguments[1:])
        raise SystemExit(0)

    monkeypatch.setattr(os, "execve", execve)
    assert line.run("shell", "lb") == 0, line.error
    assert became[0][:3] == ["exec", "-i", "container-1-0"] and "environment" in became[0][5]


def test_an_input_that_is_too_large_for_a_swarm_is_refused(
    line: CommandLine, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("x" * (MOST_CONFIG_BYTES + 1)))
    assert line.run("psql") == NOT_RUN
    assert "a swarm takes at most 500 kB" in line.error and manager.ran == []


def test_a_backup_is_not_copied_into_another_stack(line: CommandLine, manager: FakeManager) -> None:
    manager.configs["environment-of-backup"] = "export BUCKET=''\n"
    manager.answers["backup"] = json.dumps([{"id": "a" * 64, "time": "2026-05-01T02:00:00Z", "hostname": PREFIX}])
    assert line.run("restore", "--into", "dev", "--yes") == NOT_RUN
    assert "pulumi config set backupRepository … -s dev" in line.error
    assert "dhis2-cluster restore aaaaaaaa -s dev" in line.error


def test_files_are_moved_by_a_task_where_the_first_core_has_them(
    line: CommandLine, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[tuple[ShortLived, str]] = []

    def run(_: object, spec: ShortLived, node: str) -> tuple[int, str]:
        manager.done.append(f"rclone {spec.command[1]}")
        runs.append((spec, node))
        return 0, ""

    export = {"type": "nfs", "o": "addr=old", "device": ":/old"}
    mount = {"Type": "volume", "Source": f"{PREFIX}-files-nfs-1", "Target": "/opt/dhis2/files"}
    mount |= {"VolumeOptions": {"DriverConfig": {"Name": "local", "Options": export}}}  # type: ignore[dict-item]
    secret = {"SecretName": "dhis-conf-1", "File": {"Name": "/opt/dhis2/dhis.conf"}}
    manager.part("core-1")["Spec"]["TaskTemplate"]["ContainerSpec"] |= {"Mounts": [mount], "Secrets": [secret]}
    texts = {"dhis-conf-1": "filestore.provider = filesystem\n"}
    monkeypatch.setattr(Target, "swarm_secret", lambda _, name: texts[name])
    monkeypatch.setattr(Target, "up", lambda _: manager.done.append("up") or "")  # type: ignore[func-returns-value]
    monkeypatch.setattr(services, "run_short_lived", run)
    assert line.run("move-files", "--yes") == 0, line.error
    assert manager.done[:2] == ["rclone copy", "rclone check"] and manager.done[-3:] == [
        "rclone copy",
        "rclone check",
        "up",
    ]
    assert set(manager.done[2:-3]) == {"stop core-1", "stop core"}
    first = runs[0][0]
    assert {node for _, node in runs} == {"id-1"}, "also when it runs no more"
    assert first.mounts["/source"] == f"{PREFIX}-files-nfs-1"
    assert first.volume_options[f"{PREFIX}-files-nfs-1"] == export, "a node may not have it yet"
    assert first.volume_options[first.mounts["/var/tmp"]]["device"] == ":/export"  # noqa: S108 - in the container


def test_a_secret_is_read_from_the_state_of_pulumi(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    data = base64.b64encode("a = ä\n".encode()).decode()
    inputs = {"name": "dhis-conf-1", "data": {"4dabf": "1b47", "plaintext": json.dumps(data)}}
    resources = [{"type": "docker:index/secret:Secret", "inputs": {"name": "other"}}]
    resources += [{"type": "docker:index/secret:Secret", "inputs": inputs}, {"type": "pulumi:pulumi:Stack"}]
    state = subprocess.CompletedProcess([], 0, json.dumps({"deployment": {"resources": resources}}), "")
    monkeypatch.setattr(target, "attempt", lambda *_, **__: state)
    assert line.find().swarm_secret("dhis-conf-1") == "a = ä\n"
    with pytest.raises(CommandError, match="has not the secret dhis-conf-2, which the swarm has"):
        line.find().swarm_secret("dhis-conf-2")
    state.returncode, state.stderr = 255, "error: no passphrase"
    with pytest.raises(CommandError, match="cannot be read: error: no passphrase"):
        line.find().swarm_secret("dhis-conf-1")


def test_open_opens_the_address_of_a_node_with_a_load_balancer(
    line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda _: True)
    assert line.run("open") == 0
    assert line.out == "http://10.0.0.1:8080\n"
