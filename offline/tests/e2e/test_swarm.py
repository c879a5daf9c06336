"""The fake docker provider's services, configs, secrets and overlay networks on a real swarm of one node."""

import base64
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from offline.tests.e2e.project import SECRET, Project, create
from offline.tests.e2e.swarm_engine import swarm_engine

pytestmark = [
    pytest.mark.swarm,
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("dockerd"),
        reason="only root can start a dockerd in namespaces of its own, and this machine has to have one",
    ),
]

PROGRAM = """
    import base64
    import hashlib

    text = SETTINGS.get("text") or "one"
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    # The plugin asks for the opposite, and what is in use cannot be deleted.
    keep = pulumi.ResourceOptions(delete_before_replace=False)
    net = docker.Network("net", name=f"{PREFIX}-net", driver="overlay", attachable=True)
    vol = docker.Volume("vol", name=f"{PREFIX}-vol")
    content = base64.b64encode(text.encode()).decode()
    conf = docker.ServiceConfig("conf", name=f"{PREFIX}-conf-{digest}", data=content, opts=keep)
    hidden = SETTINGS.require_secret("secret").apply(lambda value: base64.b64encode(value.encode()).decode())
    pw = docker.Secret("pw", name=f"{PREFIX}-pw-{digest}", data=hidden, opts=keep)
    Container = docker.ServiceTaskSpecContainerSpecArgs
    Mount = docker.ServiceTaskSpecContainerSpecMountArgs
    Tmpfs = docker.ServiceTaskSpecContainerSpecMountTmpfsOptionsArgs
    spec = Container(
        image=IMAGE,
        commands=["sh", "-c"],
        args=["trap exit TERM; while true; do sleep 0.2; done"],
        cap_drops=["ALL"],
        configs=[
            docker.ServiceTaskSpecContainerSpecConfigArgs(
                config_id=conf.id, config_name=conf.name, file_name="/etc/app.conf"
            )
        ],
        env={"SLOT": "{{.Task.Slot}}"},
        healthcheck=docker.ServiceTaskSpecContainerSpecHealthcheckArgs(
            tests=["CMD", SETTINGS.get("probe") or "true"], interval="1s", timeout="5s", retries=2, start_period="1s"
        ),
        hostname="core-{{.Task.Slot}}",
        labels=[docker.ServiceTaskSpecContainerSpecLabelArgs(label="a", value="b")],
        mounts=[
            Mount(type="volume", source=vol.name, target="/data"),
            Mount(type="tmpfs", target="/tmp", tmpfs_options=Tmpfs(mode=0o777, size_bytes=2**20)),
        ],
        read_only=True,
        secrets=[
            docker.ServiceTaskSpecContainerSpecSecretArgs(
                secret_id=pw.id, secret_name=pw.name, file_name="pw", file_mode=0o400, file_uid="999", file_gid="999"
            )
        ],
        stop_grace_period="30s",
        user="999:999",
    )
    task = docker.ServiceTaskSpecArgs(
        container_spec=spec,
        log_driver=docker.ServiceTaskSpecLogDriverArgs(name="json-file", options={"max-size": "10m"}),
        networks_advanceds=[docker.ServiceTaskSpecNetworksAdvancedArgs(id=net.id, aliases=["core"])],
        placement=docker.ServiceTaskSpecPlacementArgs(constraints=["node.role == manager"], max_replicas=9),
        resources=docker.ServiceTaskSpecResourcesArgs(
            limits=docker.ServiceTaskSpecResourcesLimitsArgs(memory_bytes=2**26)
        ),
        restart_policy=docker.ServiceTaskSpecRestartPolicyArgs(
            condition="any", delay="1s", max_attempts=0, window="0s"
        ),
    )
    replicas = int(SETTINGS.get("replicas") or 1)
    docker.Service(
        "core",
        name=f"{PREFIX}-core",
        task_spec=task,
        mode=docker.ServiceModeArgs(replicated=docker.ServiceModeReplicatedArgs(replicas=replicas)),
        update_config=docker.ServiceUpdateConfigArgs(order="start-first", failure_action="rollback", monitor="3s"),
        endpoint_spec=docker.ServiceEndpointSpecArgs(
            mode="dnsrr", ports=[docker.ServiceEndpointSpecPortArgs(target_port=80, publish_mode="host")]
        ),
        converge_config=docker.ServiceConvergeConfigArgs(delay="2s", timeout=SETTINGS.get("timeout") or "2m"),
    )
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Docker Engine that is a swarm of one node."""
    with swarm_engine(tmp_path_factory.mktemp("swarm")) as host:
        yield host


@pytest.fixture(scope="module")
def swarm(host: str, docker_engine: docker.DockerClient, image: str) -> Iterator[docker.DockerClient]:
    """A client of the swarm, which has the image."""
    client = docker.DockerClient(base_url=host)
    client.images.load(b"".join(docker_engine.api.get_image(image)))
    yield client
    client.close()  # type: ignore[no-untyped-call]


@pytest.fixture
def project(tmp_path: Path, host: str, swarm: docker.DockerClient, image: str) -> Project:
    """A project that is deployed on the swarm, which ends with what it leaves there."""
    created = create(tmp_path, swarm, image)
    created.environment["DOCKER_HOST"] = host
    created.run("config", "set", "--secret", "secret", SECRET)
    created.write(PROGRAM)
    return created


def set_(project: Project, **settings: str) -> None:
    for name, value in settings.items():
        project.run("config", "set", name, value)


def services(project: Project) -> list[Any]:
    """Return the project's services."""
    found = project.docker_engine.services.list(filters={"name": project.prefix})  # type: ignore[no-untyped-call]
    return list(found)


def tasks(project: Project) -> dict[int, str]:
    """Return the ids of the tasks that are to run by slot."""
    (service,) = services(project)
    return {task["Slot"]: task["ID"] for task in service.tasks(filters={"desired-state": "running"})}


def files(project: Project) -> list[str]:
    """Return the names of the project's configs and secrets, without their prefix."""
    engine: Any = project.docker_engine
    everything = [*engine.configs.list(), *engine.secrets.list()]
    return sorted(
        item.name.removeprefix(f"{project.prefix}-") for item in everything if item.name.startswith(project.prefix)
    )


def test_a_service_is_scaled_changed_in_place_and_deleted(project: Project) -> None:
    project.up()
    assert project.changes() == {}, "nothing differs from the state"
    assert project.changes("--refresh") == {}, "nor from the swarm"
    state = (project.folder / "state/.pulumi/stacks/fake-plugins/test.json").read_text()
    assert SECRET not in state
    assert base64.b64encode(SECRET.encode()).decode() not in state

    first, before = tasks(project), files(project)
    set_(project, replicas="2")
    project.up()
    scaled = tasks(project)
    assert (len(scaled), scaled[1]) == (2, first[1]), "the task that runs is left alone"

    set_(project, text="two")
    project.up()
    after = files(project)
    assert (len(after), set(after) & set(before)) == (2, set()), "the old files are deleted when no task uses them"
    assert tasks(project)[1] != first[1], "their tasks are replaced"

    (service,) = services(project)
    service.scale(3)
    assert project.changes() == {}, "without a refresh nobody looks"
    assert project.changes("--refresh") == {"core": "update"}
    result = project.run("destroy", "--yes", "--skip-preview")
    assert result.code == 0, result.text
    assert (services(project), files(project), project.names()) == ([], [], set())


def test_a_service_that_never_gets_healthy_is_not_created(project: Project) -> None:
    set_(project, probe="false", timeout="10s")
    text = project.up(fails=True)
    assert "did not converge after 10s" in text
    assert services(project) == [], "it is deleted"
    assert "core" not in project.state()
    assert project.changes() == {"core": "create"}, "and made by the next `up`"


def test_an_update_that_fails_is_rolled_back_and_fails_until_it_is_fixed(project: Project) -> None:
    project.up()
    before = tasks(project)
    set_(project, probe="false")
    assert "service rollback completed: " in project.up(fails=True)
    assert tasks(project) == before, "the old task goes on"
    assert "service rollback completed: " in project.up(fails=True), (
        "the next `up` tries again, although it knows of no change"
    )
    set_(project, probe="true")
    project.up()
    assert project.changes("--refresh") == {}


def test_a_config_in_use_cannot_be_deleted_and_a_removed_service_comes_back(project: Project) -> None:
    project.up()
    project.write(PROGRAM.replace("delete_before_replace=False", "delete_before_replace=None"))
    set_(project, text="two")
    assert "is in use by the following service" in project.up(fails=True), "the plugin asks to delete it first"
    project.write(PROGRAM)
    (service,) = services(project)
    service.remove()
    assert project.changes("--refresh")["core"] == "create"
