"""Commands as jobs beside the tasks of a swarm's services."""

import re
import subprocess
from typing import Any

import pytest
from docker.errors import APIError
from requests.exceptions import ReadTimeout

from components.orchestrator.commands import NOT_RUNNING, STDOUT, Frame
from components.orchestrator.swarm import jobs
from components.orchestrator.swarm.jobs import STDIN, follow_job, job_template, new_name, run_job, text_of
from components.orchestrator.swarm.services import SERVICE_NAME, beside, in_environment
from tests.support.swarm import FakeSwarm, Json, a_service, a_task

COMMAND = ["cat", "/a file"]


@pytest.fixture
def swarm() -> FakeSwarm:
    return FakeSwarm(a_service(), a_task())


def ran(swarm: Any, files: dict[str, tuple[str, str]] | None = None) -> tuple[int, str]:  # noqa: ANN401 - a fake Docker client
    return run_job(swarm, "app", COMMAND, files)


@pytest.fixture
def template() -> Json:
    return job_template(a_service()["Spec"]["TaskTemplate"], COMMAND, "id-2")


def test_a_job_runs_beside_the_task_with_its_image_user_files_and_volumes(template: Json) -> None:
    service = a_service()["Spec"]["TaskTemplate"]["ContainerSpec"]
    container = template["ContainerSpec"]
    kept = ("Image", "User", "Mounts", "Secrets")
    assert {key: container[key] for key in kept} == {key: service[key] for key in kept}
    assert container["Command"] == beside(COMMAND)
    assert "Args" not in container, "those of the service would follow the command"


def test_a_job_is_pinned_to_the_node_of_the_task_by_its_id(template: Json) -> None:
    assert template["Placement"] == {"Constraints": ["node.id==id-2"]}, "two nodes may have one host name"


def test_a_job_is_not_taken_for_the_service(template: Json) -> None:
    assert template["Networks"] == [{"Target": "network-id"}], "under an alias cores would connect to it"
    assert "Hostname" not in template["ContainerSpec"]
    labels = template["ContainerSpec"]["Labels"]
    assert SERVICE_NAME not in labels and labels == {"own": "label"}, "nor waited for as a task of it"


def test_a_job_runs_once_within_the_memory_limit_of_the_service_and_reserves_none(template: Json) -> None:
    assert template["RestartPolicy"] == {"Condition": "none"}
    assert template["Resources"] == {"Limits": {"MemoryBytes": 512 * 2**20}}, "its node may be full"
    assert template["ContainerSpec"]["Healthcheck"] == {"Test": ["NONE"]}, "or it never becomes ready"
    assert template["ForceUpdate"] == 0


def test_the_template_of_the_service_stays_as_it_is() -> None:
    service = a_service()["Spec"]["TaskTemplate"]
    job_template(service, COMMAND, "id-1")
    assert service == a_service()["Spec"]["TaskTemplate"]


def test_a_job_of_a_service_with_little_of_its_own_is_one() -> None:
    job = job_template({"ContainerSpec": {"Image": "app"}}, COMMAND, "id-1")
    assert (job["Networks"], job["Resources"], job["ContainerSpec"]["Labels"]) == ([], {"Limits": {}}, {})


def test_output_and_exit_code_of_a_job_are_returned_and_the_service_is_removed(swarm: FakeSwarm) -> None:
    swarm.log = "ä line\nanother\n".encode()
    assert ran(swarm) == (0, "ä line\nanother\n")
    created, log, removed = swarm.done
    assert re.fullmatch(r'create app-run-[0-9a-f]{6} \{"dhis2-cluster.job": "true"\}', created)
    assert (log, removed) == ("log of services/job-id with tail all", "remove job-id")


@pytest.mark.parametrize(
    ("job", "result"),
    [
        (("complete", 0, ""), (0, "printed")),
        (("failed", 3, "task: non-zero exit (3)"), (3, "printed")),
        (("rejected", 0, "No such image: app"), (NOT_RUNNING, "No such image: app")),
        (("shutdown", 0, ""), (NOT_RUNNING, "shutdown")),
        (("orphaned", 0, ""), (NOT_RUNNING, "orphaned")),
        (("failed", 0, "starting container failed: x"), (NOT_RUNNING, "starting container failed: x")),
    ],
)
def test_a_job_ends_with_its_exit_code_or_why_it_did_not_run(
    swarm: FakeSwarm, job: tuple[str, int, str], result: tuple[int, str]
) -> None:
    swarm.job, swarm.log = job, b"printed"
    assert ran(swarm) == result
    assert swarm.done[-1] == "remove job-id"


@pytest.mark.parametrize(
    "tasks",
    [
        [],
        [a_task("starting")],
        [a_task("failed", "shutdown", code=1)],
        [a_task("running", "shutdown")],
    ],
    ids=["none", "starting", "failed", "to be stopped"],
)
def test_no_job_is_created_where_no_task_runs(tasks: list[Json]) -> None:
    swarm = FakeSwarm(a_service(), *tasks)
    assert ran(swarm) == (NOT_RUNNING, "app has no running task")
    assert swarm.done == []
    assert ran(FakeSwarm())[0] == NOT_RUNNING


def test_a_job_runs_beside_the_newest_task() -> None:
    newer = a_task(NodeID="id-2", CreatedAt="2026-05-01T13:00:00Z")
    swarm = FakeSwarm(a_service(2), a_task(), newer, a_task(CreatedAt="2026-05-01T11:00:00Z"))
    ran(swarm)
    assert swarm.jobs[0]["Placement"] == {"Constraints": ["node.id==id-2"]}


def test_a_job_that_does_not_end_is_removed_and_reported(swarm: FakeSwarm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "JOB_SECONDS", 0.05)
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.01)
    for state in ("running", ""):
        swarm.job = (state, 0, "")
        with pytest.raises(TimeoutError, match=r"app-run-[0-9a-f]+ did not end within 0.05 s"):
            ran(swarm)
        assert swarm.done[-1] == "remove job-id", "or it would be on the swarm forever"


@pytest.mark.parametrize("error", [APIError("500"), ReadTimeout("timed out")])
def test_a_job_whose_output_cannot_be_read_is_removed_and_reported(swarm: FakeSwarm, error: Exception) -> None:
    swarm.log_error = error
    with pytest.raises(type(error)):
        ran(swarm)
    assert swarm.done[-1] == "remove job-id", "an empty output would be taken for what it printed"


def test_files_reach_a_job_as_configs(swarm: FakeSwarm) -> None:
    ran(swarm, {"/written": ("config-id", "config-name")})
    (config,) = swarm.jobs[0]["ContainerSpec"]["Configs"]
    assert (config["ConfigID"], config["ConfigName"], config["File"]["Name"]) == (
        "config-id",
        "config-name",
        "/written",
    )


@pytest.mark.parametrize("service", ["app", "a-service-of-a-stack-with-a-very-long-name-of-52-chars", "x" * 63])
def test_a_job_has_a_name_that_a_swarm_takes(service: str) -> None:
    names = {new_name(service, "run") for _ in range(3)}
    assert len(names) == 3, "two may run at the same time"
    assert all(re.fullmatch(r"[a-z0-9](?:[-_]*[a-z0-9]+)*", name) and len(name) <= 63 for name in names)


def test_a_command_runs_as_it_is_where_a_container_has_no_environment_and_no_script() -> None:
    for command in (in_environment(["printf", "%s|", "a b", "$c", "'d"]), beside(["printf", "%s|", "a b", "$c", "'d"])):
        printed = subprocess.run(command, capture_output=True, text=True, check=True)
        assert printed.stdout == "a b|$c|'d|"


def test_an_input_reaches_a_command_as_a_secret_that_is_removed(swarm: FakeSwarm) -> None:
    swarm.frames = [(2, b"warned\n"), (1, b"printed\n")]
    shown: list[Frame] = []
    code, frames = follow_job(swarm, "app", COMMAND, shown.append, "a password")  # type: ignore[arg-type]
    assert (code, shown) == (0, swarm.frames) and frames == swarm.frames
    assert (text_of(frames, STDOUT), text_of(frames)) == ("printed\n", "warned\nprinted\n")
    container = swarm.jobs[0]["ContainerSpec"]
    before, secret = container["Secrets"]
    assert before == {"File": {"Name": "/run/password"}} and secret["File"]["UID"] == "9", "the user of the service"
    assert list(swarm.secrets.values()) == [b"a password"] and "a password" not in str(swarm.jobs)
    assert container["Command"][-4:] == ['exec "$@" <"$0"', STDIN, *COMMAND]
    assert swarm.done[-1] == "remove secret-id"


def test_the_input_of_a_command_that_fails_is_removed(swarm: FakeSwarm) -> None:
    swarm.log_error = APIError("500")
    with pytest.raises(APIError):
        follow_job(swarm, "app", COMMAND, None, "a password")  # type: ignore[arg-type]
    assert swarm.done[-2:] == ["remove job-id", "remove secret-id"]


def test_what_a_command_prints_is_shown_while_it_runs_and_each_piece_once(
    swarm: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "JOB_SECONDS", 0)
    for name in ("SHOW_SECONDS", "POLL_SECONDS"):
        monkeypatch.setattr(jobs, name, 0)
    swarm.job, swarm.frames = ("running", 0, ""), [(2, b"one")]
    shown: list[Frame] = []

    def show(frame: Frame) -> None:
        shown.append(frame)
        swarm.frames = [(2, b"one"), (2, b"two"), (2, b"three")]
        if len(shown) == 2:
            swarm.job = ("failed", 4, "")

    code, _ = follow_job(swarm, "app", COMMAND, show)  # type: ignore[arg-type]
    assert code == 4, "also after the time that other commands have"
    assert [content for _, content in shown] == [b"one", b"two", b"three"]


def test_a_node_that_does_not_answer_for_a_moment_ends_no_command(
    swarm: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SHOW_SECONDS", "POLL_SECONDS"):
        monkeypatch.setattr(jobs, name, 0)
    swarm.job, swarm.log = ("running", 0, ""), b"all"
    original = swarm.get

    def get(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - those of a request
        if swarm.job[0] == "running":
            swarm.job = ("complete", 0, "")
            raise ReadTimeout("timed out")
        return original(*arguments, **options)

    monkeypatch.setattr(swarm, "get", get)
    shown: list[Frame] = []
    assert follow_job(swarm, "app", COMMAND, shown.append)[0] == 0  # type: ignore[arg-type]
    assert shown == [(1, b"all")]


def test_a_job_whose_node_takes_no_tasks_ends_with_the_reason(
    swarm: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0)
    monkeypatch.setattr(jobs, "NO_NODE_SECONDS", 0.01)
    reason = "no suitable node (1 node not available for new tasks)"
    swarm.job = ("pending", 0, reason)
    assert ran(swarm) == (NOT_RUNNING, reason)
    assert swarm.done[-1] == "remove job-id"
