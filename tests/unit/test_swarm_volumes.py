"""The volumes of a stack on a swarm: what is registered, and how they are removed from the nodes."""

import base64
import copy
import json
import pickle
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, DockerException
from requests.exceptions import ReadTimeout

from components.naming import DUMP_CACHE_VOLUME
from components.orchestrator.swarm import sweep, volumes
from components.orchestrator.swarm.sweep import REFUSED, Sweep, remove_volume, sweep_template
from components.orchestrator.swarm.volumes import NodeVolumeProvider, VolumeRemainsError, removal
from tests.support.program import IMAGE, PREFIX, VOLUME, Recorded, Run, visible
from tests.support.project import ROOT
from tests.support.swarm import ON_SWARM, SERVICE, Json, container_of

NODE_VOLUME, PROVIDER = "pulumi-python:dynamic/dhis2-cluster:NodeVolume", "pulumi:providers:pulumi-python"
SCRIPT = ROOT / "components" / "orchestrator" / "files" / "remove-volume.sh"
EVERYTHING: Json = {**ON_SWARM, "cores": 2, "backupSchedule": "manual"}
IN_USE = '{"message":"remove v: volume is in use - [abc]"}'


def registered(recorded: Recorded) -> dict[str, bool]:
    """Return the volumes by their names without the stack's, and whether each outlives the stack."""
    return {
        item.inputs["name"].removeprefix(f"{PREFIX}-"): item.request.retainOnDelete for item in recorded.of(NODE_VOLUME)
    }


def mounted(recorded: Recorded, part: str) -> set[str]:
    """Return the volumes that a part mounts."""
    return {mount["source"] for mount in container_of(recorded, part)["mounts"] if mount["type"] == "volume"}


def test_every_volume_that_a_service_mounts_is_removed_with_the_stack_but_the_dump_cache(built: Run) -> None:
    recorded = built(**EVERYTHING)
    found = {name for item in recorded.of(SERVICE) for name in mounted(recorded, item.name)}
    assert found == {f"{PREFIX}-{name}" for name in registered(recorded)} | {DUMP_CACHE_VOLUME}
    assert {name for name, stays in registered(recorded).items() if stays} == {"backup"}, "backups outlive a stack"


def test_with_keep_data_the_same_volumes_stay_as_on_one_machine(built: Run) -> None:
    kept = {name for name, stays in registered(built(**EVERYTHING, keepData="true")).items() if stays}
    on_one = built(cores=2, backupSchedule="manual", keepData="true").of(VOLUME)
    retained = {item.name for item in on_one if item.request.retainOnDelete}
    databases = {"primary-data", "replica-1-data"}
    assert retained == kept - {"database-data"} | databases | {"dumps"} and {"files", "cache-data"} <= kept
    assert {item.name for item in on_one} - retained == {"backup-tools"}, "it is made again"


def test_databases_of_several_nodes_have_one_resource_so_that_a_removed_replica_leaves_the_primary_its_own(
    built: Run,
) -> None:
    of_replicas = {**ON_SWARM, "replicas": 2, "replicaNodes": "db-2,db-2"}
    for settings, expected in (
        ({**ON_SWARM, "replicas": 0, "replicaNodes": ""}, {"database-data"}),
        (ON_SWARM, {"database-data"}),
        (of_replicas, {"database-data", "database-2-data"}),
    ):
        found = registered(built(**settings))
        assert {name for name in found if name.endswith("-data") and name != "cache-data"} == expected


def test_services_are_deleted_before_the_volumes_they_mount(built: Run) -> None:
    recorded = built(**EVERYTHING)
    resources = {item.inputs["name"]: item.name for item in recorded.of(NODE_VOLUME)}
    for item in recorded.of(SERVICE):
        needed = {resources[name] for name in mounted(recorded, item.name) if name in resources}
        assert needed <= item.needs, f"{item.name} would still have its volume"


def test_the_object_of_an_export_is_removed(built: Run) -> None:
    settings: Json = {**ON_SWARM, "fileStore": "nfs://files.example.org/dhis2"}
    found = registered(built(**settings, keepData="true"))
    (name,) = [name for name in found if name.startswith("files-nfs-")]
    assert not found[name], "what is exported stays"


def test_the_tasks_run_from_the_image_of_the_load_balancer_through_the_manager(built: Run) -> None:
    recorded = built(**ON_SWARM, dockerHost="ssh://admin@manager")
    (balancer,) = [item for item in recorded.of(IMAGE) if item.name == "load-balancer-image"]
    service_image = container_of(recorded, "lb")["image"]
    for item in recorded.of(NODE_VOLUME):
        assert (item.inputs["image"], item.inputs["docker_host"]) == (service_image, "ssh://admin@manager")
        assert balancer.name in item.needs


def test_no_secret_and_no_setting_is_in_the_state_of_a_volume(built: Run) -> None:
    recorded = built(**ON_SWARM, adminPassword="Secret-123")
    (provider,) = recorded.of(PROVIDER)
    assert not {key for key in provider.inputs if key != "version"}, "the default provider has the whole stack file"
    for item in recorded.of(NODE_VOLUME):
        assert set(item.inputs) <= {"__provider", "name", "docker_host", "image"}
        assert item.inputs["__provider"] in visible(dict(item.raw)), "it is small, and encrypted for nothing"
        assert PROVIDER in item.request.provider


def test_the_state_finds_the_provider_by_its_module_and_name(built: Run) -> None:
    (text,) = {item.inputs["__provider"] for item in built(**ON_SWARM).of(NODE_VOLUME)}
    assert b"components.orchestrator.swarm.volumes" in base64.b64decode(text), "stacks have it: no other place"
    loaded = pickle.loads(base64.b64decode(text))  # noqa: S301 - made above
    assert isinstance(loaded, NodeVolumeProvider)
    assert len(text) < 200, "it is in the state once for each volume, twice"


def test_a_stack_of_one_machine_has_none_of_it(built: Run) -> None:
    recorded = built(cores=2)
    assert not recorded.of(NODE_VOLUME) and not recorded.of(PROVIDER)


def test_a_volume_is_there_when_it_is_registered_and_nothing_is_asked_of_a_node() -> None:
    provider, inputs = NodeVolumeProvider(), {"name": "v", "image": "i"}
    created = provider.create(inputs)
    assert (created.id, created.outs) == ("v", inputs)
    assert provider.read("v", inputs).outs == inputs, "a refresh finds what is in the state"


@pytest.mark.parametrize(
    ("news", "changes", "replaces"),
    [
        ({"name": "v", "image": "i", "__provider": "other"}, False, []),
        ({"name": "v", "image": "j"}, True, []),
        ({"name": "v", "image": "i", "docker_host": "ssh://a@b"}, True, []),
        ({"name": "w", "image": "i"}, True, ["name"]),
    ],
)
def test_only_another_name_is_another_volume(news: Json, changes: bool, replaces: list[str]) -> None:
    olds = {"name": "v", "image": "i", "__provider": "one"}
    diff = NodeVolumeProvider().diff("v", olds, news)
    assert (diff.changes, diff.replaces) == (changes, replaces)
    assert NodeVolumeProvider().update("v", olds, news).outs == news


class FakeManager:
    """A manager of nodes, by their host names `{state, availability}`, that looks different with each `step`.

    `tasks_of` has the states, exit codes and errors of the tasks by host name, `logs` what they print.
    """

    base_url, api_version = "http+docker://localhost", "1.41"

    def __init__(self, nodes: Mapping[str, tuple[str, str]], *steps: Mapping[str, tuple[str, int, str]]) -> None:
        self.api, self.nodes_, self.steps = self, dict(nodes), list(steps)
        self.logs: dict[str, str | Exception] = {}
        self.done: list[str] = []
        self.template: Json = {}
        self.mode: Json = {}

    def create_service(self, template: Json, *, name: str, labels: Json, mode: Mapping[str, object]) -> Json:
        self.template, self.mode = template, dict(mode)
        self.done.append(f"create {name.rpartition('-')[0]} {json.dumps(labels)}")
        return {"ID": "sweep"}

    def remove_service(self, identifier: str) -> None:
        self.done.append(f"remove {identifier}")

    def nodes(self) -> list[Json]:
        return [
            {"ID": name, "Description": {"Hostname": name}, "Status": {"State": state}, "Spec": {"Availability": spec}}
            for name, (state, spec) in self.nodes_.items()
        ]

    def tasks(self, filters: Mapping[str, str]) -> list[Json]:
        assert filters == {"service": "sweep"}
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        return [
            {
                "ID": f"task-{name}",
                "NodeID": name,
                "Status": {"State": state, "Err": error, "ContainerStatus": {"ExitCode": code}},
            }
            for name, (state, code, error) in step.items()
        ]

    def get(self, url: str, **options: object) -> "_Response":
        path, _, task = url.removesuffix("/logs").rpartition("/task-")
        assert path.endswith("/tasks"), "the log of one task, of one node"
        log = self.logs.get(task, "")
        if isinstance(log, Exception):
            raise log
        return _Response(log)


class _Response:
    """A response with one frame."""

    def __init__(self, text: str) -> None:
        content = text.encode()
        self._left = bytes([1, 0, 0, 0]) + len(content).to_bytes(4, "big") + content if content else b""
        self.raw = self

    def read(self, size: int) -> bytes:
        read, self._left = self._left[:size], self._left[size:]
        return read

    def raise_for_status(self) -> None:
        pass

    def __enter__(self) -> "_Response":
        return self

    def __exit__(self, *_: object) -> None:
        pass


UP = ("ready", "active")
DONE = ("complete", 0, "")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at tasks without a break."""
    monkeypatch.setattr(sweep, "POLL_SECONDS", 0.001)


def swept(manager: Any) -> Sweep:  # noqa: ANN401 - a fake Docker client
    return remove_volume(manager, "v", "image")


def test_every_node_is_asked_and_the_service_is_removed() -> None:
    waiting = {"db-1": ("running", 0, ""), "db-2": DONE}
    manager = FakeManager({"db-1": UP, "db-2": UP}, {}, waiting, {"db-1": DONE, "db-2": DONE})
    assert swept(manager) == Sweep(refused={}, not_asked={})
    assert manager.done == ['create v-rm {"dhis2-cluster.job": "true"}', "remove sweep"]
    assert manager.mode == {"global": {}}, "one task on each node"
    assert not manager.steps[1:], "it waits until all have ended"


def test_a_task_has_the_socket_and_nothing_else() -> None:
    container = sweep_template("v", "image")["ContainerSpec"]
    (mount,) = container["Mounts"]
    assert mount == {"Type": "bind", "Source": "/var/run/docker.sock", "Target": "/var/run/docker.sock"}
    assert container["Command"][4:] == ["/var/run/docker.sock", "v", str(sweep.IN_USE_SECONDS)]
    assert (container["Image"], container["CapabilityDrop"], container["ReadOnly"]) == ("image", ["ALL"], True)
    assert sweep_template("v", "image")["RestartPolicy"] == {"Condition": "none"}


@pytest.mark.parametrize(("state", "reason"), [(("down", "active"), "down"), (("ready", "drain"), "drain")])
def test_a_node_that_takes_no_tasks_is_not_waited_for(state: tuple[str, str], reason: str) -> None:
    manager = FakeManager({"db-1": UP, "db-2": state}, {"db-1": DONE})
    assert swept(manager) == Sweep(refused={}, not_asked={"db-2": reason})


def test_a_node_that_goes_down_meanwhile_is_not_waited_for_any_longer() -> None:
    manager = FakeManager({"db-1": UP, "db-2": UP}, {"db-1": DONE, "db-2": ("assigned", 0, "")})
    asked = iter([manager.nodes(), manager.nodes()])

    def nodes() -> list[Json]:
        found = next(asked, None)
        return found or FakeManager({"db-1": UP, "db-2": ("down", "active")}, {}).nodes()

    manager.nodes = nodes  # type: ignore[method-assign]
    assert swept(manager) == Sweep(refused={}, not_asked={"db-2": "down"})


def test_a_node_whose_task_does_not_end_is_named_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "SWEEP_SECONDS", 0.01)
    manager = FakeManager({"db-1": UP}, {"db-1": ("preparing", 0, "")})
    assert swept(manager).not_asked == {"db-1": "no answer within 0.01 s"}
    assert manager.done[-1] == "remove sweep"


@pytest.mark.parametrize(
    ("task", "log", "refused", "not_asked"),
    [
        (("failed", REFUSED, "exit"), IN_USE, "remove v: volume is in use - [abc]", None),
        (("failed", REFUSED, "non-zero exit (3)"), ReadTimeout(), "non-zero exit (3)", None),
        (("failed", REFUSED, "exit"), "<html>", "<html>", None),
        (("failed", 7, "exit"), "curl: (7) Could not connect", None, "curl: (7) Could not connect"),
        (("rejected", 0, "No such image: i"), "", None, "No such image: i"),
        (("orphaned", 0, ""), "", None, "orphaned"),
    ],
)
def test_a_refusal_is_told_from_a_node_that_could_not_be_asked(
    task: tuple[str, int, str], log: str | Exception, refused: str | None, not_asked: str | None
) -> None:
    manager = FakeManager({"db-1": UP}, {"db-1": task})
    manager.logs = {"db-1": log}
    found = swept(manager)
    assert (found.refused.get("db-1"), found.not_asked.get("db-1")) == (refused, not_asked)


def removed(monkeypatch: pytest.MonkeyPatch, result: Sweep | Exception) -> Callable[[], str]:
    """Return what removes the volume v, with this result."""

    def remove(*_: object) -> Sweep:
        if isinstance(result, Exception):
            raise result
        return copy.deepcopy(result)

    monkeypatch.setattr(volumes, "connect", lambda _: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(volumes, "remove_volume", remove)
    return lambda: removal("v", "image", "ssh://a@b")


def test_a_node_that_is_away_is_a_warning_with_the_command_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    away = Sweep(refused={}, not_asked={"db-2": "down", "app-1": "No such image"})
    text = "volume v may remain on db-2 (down), app-1 (No such image). To remove it there: docker volume rm v"
    assert removed(monkeypatch, away)() == text
    assert removed(monkeypatch, Sweep(refused={}, not_asked={}))() == ""


def test_the_warning_is_shown_by_the_cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.tracebacklimit", None, raising=False)
    for away, shown in (({}, ""), ({"db-2": "down"}, "volume v may remain on db-2")):
        removed(monkeypatch, Sweep(refused={}, not_asked=away))
        NodeVolumeProvider().delete("v", {"name": "v", "image": "i"})
        assert capsys.readouterr().err.startswith(shown) and bool(shown) == bool(away)


def test_a_volume_in_use_fails_the_deletion_with_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    remove = removed(monkeypatch, Sweep(refused={"db-1": "volume is in use - [abc]"}, not_asked={"db-2": "down"}))
    with pytest.raises(VolumeRemainsError) as error:
        remove()
    assert "was not removed from db-1: volume is in use - [abc]" in str(error.value)
    assert "docker ps -a --filter volume=v" in str(error.value)
    assert "may remain on db-2 (down)" in str(error.value), "or nothing is said of it"


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        (APIError("500", explanation="no quorum"), "volume v was not removed: no quorum"),
        (DockerException("refused"), "Docker Engine at ssh://a@b does not answer: refused"),
    ],
)
def test_a_manager_that_does_not_answer_fails_the_deletion(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, text: str
) -> None:
    with pytest.raises(VolumeRemainsError, match=text):
        removed(monkeypatch, raised)()


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Return what runs remove-volume.sh where Docker Engine answers with these codes in turn, the last one forever."""

    def run(*answers: str, seconds: int = 60) -> subprocess.CompletedProcess[str]:
        (tmp_path / "answers").write_text("".join(f"{answer}\n" for answer in answers))
        curl = tmp_path / "curl"
        curl.write_text(
            f"#!/bin/sh\ncd {tmp_path}\nprintf '%s ' \"$@\" >>asked; echo >>asked\nanswer=$(head -n 1 answers)\n"
            'if [ "$(wc -l <answers)" -gt 1 ]; then sed -i 1d answers; fi\n'
            f"[ $answer != none ] || {{ echo 'curl: (7) no' >&2; exit 7; }}\nprintf '%s\\n%s' '{IN_USE}' $answer\n"
        )
        sleep = tmp_path / "sleep"
        sleep.write_text("#!/bin/sh\n")
        for path in (curl, sleep):
            path.chmod(0o755)
        command = ["sh", str(SCRIPT), "/run/the.sock", "v", str(seconds)]
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    yield run


@pytest.mark.parametrize("answers", [("204",), ("404",), ("409", "409", "204"), ("500", "404")])
def test_the_script_removes_a_volume_once_it_is_not_in_use(
    script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, answers: tuple[str, ...]
) -> None:
    done = script(*answers)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == len(answers)
    assert all("--unix-socket /run/the.sock --request DELETE" in line for line in asked)
    assert all(line.endswith("/volumes/v ") for line in asked)


@pytest.mark.parametrize("answers", [("409",), ("403",)])
def test_the_script_prints_why_docker_engine_refuses(
    script: Callable[..., subprocess.CompletedProcess[str]], answers: tuple[str, ...]
) -> None:
    done = script(*answers, seconds=0)
    assert (done.returncode, done.stdout.strip()) == (REFUSED, IN_USE)


def test_the_script_fails_otherwise_where_docker_engine_does_not_answer(
    script: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = script("none")
    assert done.returncode not in (0, REFUSED) and "curl: (7)" in done.stderr
