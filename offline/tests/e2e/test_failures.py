"""The fake plugins with the real CLI and Docker Engine: they fail where the real host and plugins fail, as they do."""

import pytest
from docker.errors import NotFound

from offline.tests.e2e.project import SECRET, Project

pytestmark = pytest.mark.e2e

MEMORY = 'container("one", memory={0}, memory_swap={0}, envs=[pulumi.Output.secret("S=geheim-4711")])'


def test_a_failed_update_in_place_is_forgotten_by_the_next_up_and_repaired_by_a_refresh(project: Project) -> None:
    project.write(MEMORY.format(64))
    project.up()
    project.container("one").remove(force=True)
    project.write(MEMORY.format(96))
    assert "Unable to update a container" in project.up(fails=True), "there is no container to update"
    failed = project.state()["one"]
    assert failed["initErrors"], "the state holds the error"
    assert failed["outputs"]["memory"] == 96, "with the new values, which Docker does not have"
    assert SECRET not in str(failed), "in which secrets stay secret"
    assert "1 updated" in project.up(), "the next up has nothing to apply and succeeds"
    with pytest.raises(NotFound):
        project.container("one")
    project.up("--refresh")
    assert project.container("one").status == "running", "a refresh sees that it no longer exists"


HELD = """
    net = docker.Network("net", name=f"{PREFIX}-net")
    vol = docker.Volume("vol", name=f"{PREFIX}-vol")
"""


def test_destroy_gives_no_reason_for_a_network_and_a_volume_that_a_foreign_container_uses(project: Project) -> None:
    project.write(HELD)
    project.up()
    prefix = project.prefix
    project.docker_engine.containers.run(
        project.image,
        ["sleep", "600"],
        name=f"{prefix}-foreign",
        network=f"{prefix}-net",
        volumes=[f"{prefix}-vol:/v"],
        detach=True,
    )
    result = project.run("destroy", "--yes", "--skip-preview", "--continue-on-error")
    assert result.code != 0, "neither can be removed"
    for state in ("pending", "in_use"):
        reason = f"timeout while waiting for state to become 'removed' (last state: '{state}', timeout: 30s)"
        assert reason in result.text, f"{reason} is missing in:\n{result.text}"
    assert "active endpoints" not in result.text, "the real plugin does not show Docker's own message"
    project.container("foreign").remove(force=True)
    assert project.run("destroy", "--yes", "--skip-preview").code == 0, "without the container destroy succeeds"


PORT = (
    'container("{}", entrypoints=None, ports=[docker.ContainerPortArgs(internal=80, external=18977, ip="127.0.0.1")])'
)


def test_a_busy_port_leaves_a_container_that_the_next_up_replaces(project: Project) -> None:
    project.write(PORT.format("first"))
    project.up()
    project.write(f"{PORT.format('first')}\n{PORT.format('second')}")
    text = project.up(fails=True)
    assert "Unable to start container: Error response from daemon: " in text, "Docker's message is shown"
    assert "KeyboardInterrupt" not in text, "the interrupted program logs no traceback"
    assert project.container("second").status == "created", "the container stays, not started"
    assert project.state()["second"]["initErrors"], "the state holds the error"
    project.container("first").remove(force=True)
    project.write(PORT.format("second"))
    assert "1 replaced" in project.up(), "with the port free the next up replaces it"
    assert project.container("second").status == "running", "the new one runs"


HOOK = """
    def gate(args):
        raise Exception("not ready: the database has exited")

    gates = [pulumi.ResourceHook("gate", gate)] if SETTINGS.get("gate") else []
    hooks = pulumi.ResourceHookBinding(before_create=gates)
    container("first")
    container("second", opts=pulumi.ResourceOptions(hooks=hooks))
"""


def test_a_before_create_hook_that_raises_leaves_its_resource_out_of_the_state(project: Project) -> None:
    project.run("config", "set", "gate", "closed")
    project.write(HOOK)
    assert "not ready: the database has exited" in project.up(fails=True), "the hook's message is shown"
    assert "second" not in project.state(), "the resource is not in the state"
    with pytest.raises(NotFound):
        project.container("second")
    project.run("config", "rm", "gate")
    assert "1 created" in project.up(), "the next up creates it"


REFUSED = """
    upload = docker.ContainerUploadArgs(file="/x", content="y", owner="me", permissions="0999")
    container("own", uploads=[upload], device_cgroup_rules=["a"], wait=True)
"""
REASONS = (
    "'owner'. Examine values at 'own.uploads.owner'",
    "'own.deviceCgroupRules'",
    "'0999' doesn't match the pattern",
    "supports only False here. Examine values at 'own.wait'",
)


def test_a_preview_names_every_property_and_type_that_is_refused(project: Project) -> None:
    project.write(REFUSED)
    result = project.run("preview")
    assert result.code != 0, "none of this can be created"
    for reason in REASONS:
        assert reason in result.text, f"{reason!r} is missing in:\n{result.text}"
    project.write('docker.Plugin("plugin", name="a/b")')
    assert "does not support resources of type docker:index/plugin:Plugin" in project.run("preview").text


FAILURES = """
    container("nocommand", command=["/nosuchbin"])
    container("nonet", networks_advanced=[docker.ContainerNetworksAdvancedArgs(name="nosuchnet")])
    docker.Container("noimage", name=f"{PREFIX}-noimage", image="127.0.0.1:1/nosuch/image:1")
    docker.RemoteImage("nopull", name="127.0.0.1:1/nosuch/image:1", keep_locally=True)
"""
MESSAGES = (
    "no such file or directory",
    "network nosuchnet not found",
    "Unable to create container with image 127.0.0.1:1/nosuch/image:1: ",
    "unable to pull image 127.0.0.1:1/nosuch/image:1: ",
)


def test_docker_errors_are_shown(project: Project) -> None:
    project.write(FAILURES)
    text = project.up("--continue-on-error", fails=True)
    for message in MESSAGES:
        assert message in text, f"{message!r} is missing in:\n{text}"
    assert "noimage" not in project.state(), "without an image no container is created"
    assert project.state()["nonet"]["initErrors"], "a container that was created is in the state, with the error"


def test_a_program_that_fails_is_shown_as_the_real_host_shows_it(project: Project) -> None:
    project.write('raise pulumi.RunError("first line\\nsecond line")')
    text = project.up(fails=True)
    assert "error: first line\n" in text, "the message alone"
    assert "second line" in text, "all lines of it"
    assert "Traceback" not in text, "without a traceback"
    assert "program exited with non-zero exit code: 1" in text, "and the generic line"
    project.write('def deep():\n    raise ValueError("cores: three")\n\n\ndeep()')
    text = project.up(fails=True)
    assert "Program failed with an unhandled exception:" in text, "any other exception is announced"
    assert "ValueError: cores: three" in text, "and shown"
    assert "runpy" not in text, "from the program's own first line on"
