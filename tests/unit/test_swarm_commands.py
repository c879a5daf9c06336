"""SwarmWatcher: the services of a swarm, asked, stopped and restarted."""

import math
import os
import shlex
import subprocess
from itertools import accumulate
from pathlib import Path

import pulumi
import pytest

from components.orchestrator.commands import NOT_RUNNING
from components.orchestrator.container_state import epoch_seconds
from components.orchestrator.swarm import watcher as module
from components.orchestrator.swarm.jobs import MOST_CONFIG_BYTES
from components.orchestrator.swarm.pieces import JOB_PIECES, MOST_BYTES, WRITE_LABEL
from components.orchestrator.swarm.watcher import CLOCK_SECONDS, SwarmWatcher
from components.orchestrator.watcher import DumpUpload, NotReady
from tests.support.swarm import CREATED, FakeSwarm, Json, a_service, a_task, wait, watched

NO_NODE = a_task("pending", NodeID="", error="no suitable node (insufficient resources on 3 nodes)")


@pytest.fixture
def swarm(monkeypatch: pytest.MonkeyPatch) -> FakeSwarm:
    """A swarm whose service app has one task that runs."""
    return watched(FakeSwarm(a_service(), a_task()), monkeypatch)


@pytest.fixture
def watcher(swarm: FakeSwarm) -> SwarmWatcher:
    return SwarmWatcher(None, 1, lambda _: None)


def scales(swarm: FakeSwarm) -> int:
    assert swarm.service
    return int(swarm.service["Spec"]["Mode"]["Replicated"]["Replicas"])


def test_a_command_runs_in_a_job(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    swarm.log = b"printed"
    assert wait(watcher.execute("app", ["x"])) == (0, "printed")
    assert len(swarm.jobs) == 1
    swarm.tasks_ = []
    assert wait(watcher.execute("app", ["x"]))[0] == NOT_RUNNING


def test_a_command_for_all_tasks_runs_beside_each_of_them(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    swarm.tasks_ = [a_task(), a_task(NodeID="id-2"), a_task("starting", NodeID="id-3")]
    swarm.tasks_ += [a_task(NodeID="id-3")]
    swarm.node_states = {"app-1": "down"}
    swarm.log = b"printed"
    assert wait(watcher.execute_on_each("app", ["x"])) == {"db-1": (0, "printed"), "db-2": (0, "printed")}
    placed = {job["Placement"]["Constraints"][0] for job in swarm.jobs}
    assert placed == {"node.id==id-1", "node.id==id-2"}
    swarm.tasks_ = []
    assert wait(watcher.execute_on_each("app", ["x"])) == {}


def test_a_file_is_read_by_a_job(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    swarm.log = b"a=b\n"
    assert wait(watcher.read_file("app", "/data/marker")) == "a=b\n"
    assert swarm.jobs[0]["ContainerSpec"]["Command"][-2:] == ["cat", "/data/marker"]
    swarm.job = ("failed", 1, "")
    assert wait(watcher.read_file("app", "/data/none")) is None
    swarm.service = None
    assert wait(watcher.read_file("app", "/data/marker")) is None


def test_a_secret_is_never_printed_by_a_job(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    assert wait(watcher.read_file("app", "/run/password")) == "", "what a job prints is logged on its node"
    assert swarm.jobs == []


def test_a_preview_starts_no_job(watcher: SwarmWatcher, swarm: FakeSwarm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    assert wait(watcher.read_file("app", "/data/marker")) is None
    assert swarm.done == [], "a preview changes nothing"


@pytest.mark.parametrize("content", ["text", b"bytes"])
def test_a_file_is_written_by_a_job_that_has_it_as_a_config(
    watcher: SwarmWatcher, swarm: FakeSwarm, content: str | bytes
) -> None:
    wait(watcher.write_file("app", "/data/file", content, 9))
    (name,) = swarm.files
    assert swarm.files[name]["data"] == (content.encode() if isinstance(content, str) else content)
    assert name.startswith("app-file-") and len(name) <= 64
    container = swarm.jobs[0]["ContainerSpec"]
    assert container["Configs"][0]["ConfigName"] == name and container["User"] == "9:9"
    assert container["Command"][-2] == "/data/file", "the file"
    assert container["Command"][-1] == container["Configs"][0]["File"]["Name"], "and its only piece"
    assert swarm.done[-2:] == ["remove job-id", "remove config"]


def test_a_large_file_is_written_in_pieces_that_fit_into_a_message_to_the_node(
    watcher: SwarmWatcher, swarm: FakeSwarm, tmp_path: Path
) -> None:
    content, path = os.urandom(3_100_000), tmp_path / "app.zip"
    path.write_text("the one before")
    wait(watcher.write_file("app", str(path), content, 9))
    assert [len(job["ContainerSpec"]["Configs"]) for job in swarm.jobs] == [4, 3]
    assert max(len(config["data"]) for config in swarm.files.values()) <= MOST_CONFIG_BYTES
    first, second = swarm.jobs
    assert run(first, swarm, tmp_path).returncode == 0
    assert path.read_text() == "the one before", "it is replaced when it is complete"
    assert run(second, swarm, tmp_path).returncode == 0
    assert path.read_bytes() == content and path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.glob("app*")] == ["app.zip"]
    there = accumulate({"create config": 1, "remove config": -1}.get(entry, 0) for entry in swarm.done)
    assert max(there) == JOB_PIECES and not any(config["there"] for config in swarm.files.values())


def test_what_is_left_of_a_file_that_is_not_what_was_sent_is_removed(
    watcher: SwarmWatcher, swarm: FakeSwarm, tmp_path: Path
) -> None:
    path = tmp_path / "app.zip"
    path.write_text("the one before")
    wait(watcher.write_file("app", str(path), b"x" * (MOST_CONFIG_BYTES + 1), 9))
    next(iter(swarm.files.values()))["data"] = b"something else"
    done = run(swarm.jobs[0], swarm, tmp_path)
    assert done.returncode and "did NOT match" in done.stderr
    assert path.read_text() == "the one before" and not (tmp_path / "app.zip.new").exists()


def test_a_file_that_cannot_be_written_is_reported_and_its_config_removed(
    watcher: SwarmWatcher, swarm: FakeSwarm
) -> None:
    swarm.job, swarm.log = ("failed", 1, ""), b"cat: no space left on device\n"
    with pytest.raises(NotReady, match=r"/data/file of app could not be replaced: cat: no space left on device$"):
        wait(watcher.write_file("app", "/data/file", b"x" * 5 * MOST_CONFIG_BYTES, 9))
    assert len(swarm.jobs) == 1 and len(swarm.files) == 4, "nothing more is sent"
    assert not any(config["there"] for config in swarm.files.values())


def test_the_configs_of_a_write_that_was_killed_are_removed_by_the_next_one(
    watcher: SwarmWatcher, swarm: FakeSwarm
) -> None:
    swarm.create_config("left", b"x", {WRITE_LABEL: "app"})
    swarm.create_config("of another", b"x", {WRITE_LABEL: "another"})
    wait(watcher.write_file("app", "/data/file", "x", 9))
    assert [name for name, config in swarm.files.items() if config["there"]] == ["of another"]


def test_a_file_that_is_too_large_is_refused_with_its_size(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    with pytest.raises(NotReady, match=r"app.zip has 50.1 MB, and a file of at most 50 MB is brought to another node"):
        wait(watcher.write_file("app", "/data/app.zip", b"x" * (MOST_BYTES + 100_000), 9))
    assert swarm.done == []


def run(job: Json, swarm: FakeSwarm, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command of a job on this machine, with its configs as files in a folder."""
    container, command = job["ContainerSpec"], " ".join(map(shlex.quote, job["ContainerSpec"]["Command"]))
    for config in container["Configs"]:
        copy = folder / Path(config["File"]["Name"]).name
        copy.write_bytes(swarm.files[config["ConfigName"]]["data"])
        command = command.replace(config["File"]["Name"], str(copy))
    return subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)


def test_a_service_started_when_its_oldest_running_task_was_created(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    ended = a_task("shutdown", "shutdown", CreatedAt="2026-05-01T10:00:00Z")
    swarm.tasks_ = [ended, a_task(), a_task(CreatedAt="2026-05-01T13:00:00Z")]
    assert wait(watcher.started_at("app")) == epoch_seconds(CREATED) + CLOCK_SECONDS
    swarm.tasks_ = [ended]
    assert wait(watcher.started_at("app")) == math.inf


def test_a_service_is_stopped_when_its_tasks_have_ended_and_started_with_as_many(
    watcher: SwarmWatcher, swarm: FakeSwarm
) -> None:
    swarm.service = a_service(3)
    states = iter([a_task(), a_task("running", "shutdown"), a_task("shutdown", "shutdown")])
    original = swarm.tasks

    def tasks(filters: Json | None = None) -> list[Json]:
        swarm.tasks_ = [next(states)]
        return original(filters)

    swarm.tasks = tasks  # type: ignore[method-assign, assignment]
    wait(watcher.stop("app", 60))
    assert scales(swarm) == 0 and next(states, None) is None, "cores that still run would write to the database"
    wait(watcher.start("app"))
    assert scales(swarm) == 3
    assert swarm.service["Spec"]["TaskTemplate"] == a_service()["Spec"]["TaskTemplate"], "nothing else changes"


def test_a_task_that_does_not_end_is_reported(
    watcher: SwarmWatcher, swarm: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_MARGIN_SECONDS", 0)
    with pytest.raises(NotReady, match="tasks of app have not ended; see: docker service ps app"):
        wait(watcher.stop("app", 0))
    swarm.node_states = {"db-1": "down"}
    wait(watcher.stop("app", 0))


def test_a_restart_replaces_the_tasks_and_changes_nothing_else(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    wait(watcher.restart("app"))
    assert swarm.service
    before, after = a_service()["Spec"], swarm.service["Spec"]
    assert after["TaskTemplate"].pop("ForceUpdate") == before["TaskTemplate"].pop("ForceUpdate") + 1
    assert after == before


def test_an_update_that_another_came_before_is_made_again(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    swarm.conflicts = 2
    wait(watcher.restart("app"))
    assert swarm.done == ["update"]
    swarm.conflicts = 100
    with pytest.raises(NotReady, match="update out of sequence"):
        wait(watcher.restart("app"))


@pytest.mark.parametrize(
    ("tasks", "under_way", "done"),
    [
        ([], True, []),
        ([a_task("preparing")], True, []),
        ([a_task("running")], True, []),
        ([a_task("complete", "shutdown")], False, []),
        ([a_task("failed", "shutdown", code=1)], True, ["update"]),
        ([a_task("rejected", "shutdown")], True, ["update"]),
        ([a_task("failed", "shutdown", CreatedAt="2026-05-01T10:00:00Z"), a_task("complete", "shutdown")], False, []),
    ],
    ids=["none", "preparing", "running", "complete", "failed", "rejected", "complete after a failure"],
)
def test_a_one_shot_task_that_has_failed_is_started_again(
    watcher: SwarmWatcher, swarm: FakeSwarm, tasks: list[Json], under_way: bool, done: list[str]
) -> None:
    swarm.tasks_ = tasks
    assert wait(watcher.restart_failed("app")) == under_way
    assert swarm.done == done


def test_there_is_nothing_to_start_where_no_service_is(watcher: SwarmWatcher, swarm: FakeSwarm) -> None:
    swarm.service = None
    assert not wait(watcher.restart_failed("app"))


def test_a_dump_goes_into_the_container_of_the_task(
    watcher: SwarmWatcher, swarm: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads: list[object] = []
    monkeypatch.setattr(module, "upload_dump", lambda _, container, upload: uploads.append((container, upload)))
    upload = DumpUpload(path=Path("d.sql"), folder="/dumps", key="k", uid=9, make_room=lambda _: ())
    wait(watcher.upload_dump("app", upload))
    assert uploads == [("container-id", upload)]
    swarm.tasks_, watcher.timeout_seconds = [NO_NODE], 0
    with pytest.raises(NotReady, match="app does not run; see: docker service ps app"):
        wait(watcher.upload_dump("app", upload))
