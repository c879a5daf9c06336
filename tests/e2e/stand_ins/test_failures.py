"""The stand-ins under the real CLI and engine: they fail where the real host and plugins fail, in their words."""

import pytest
from docker.errors import NotFound

from tests.e2e.stand_ins.project import SECRET, Project

pytestmark = pytest.mark.e2e


def test_a_container_that_never_gets_healthy_fails_up_until_a_refresh_forgets_it(project: Project) -> None:
    project.write(
        'box("one", healthcheck=check(["CMD", "false"]), entrypoints=None, wait=True, wait_timeout=3,'
        ' envs=[pulumi.Output.secret("S=geheim-4711")])'
    )
    assert "container failed to be in healthy state" in project.up(fails=True), "the reason is all that is said"
    first = project.container("one").id
    assert project.state()["one"]["initErrors"], "the sick container is in the state, marked"
    assert SECRET not in str(project.state()), "and its secrets stay secret"
    project.up(fails=True)
    assert project.container("one").id != first, "a plain up replaces it and waits again"
    text = project.up("--refresh")
    assert "2 unchanged" in text, f"a refreshed up takes the sick container for a good one:\n{text}"
    assert "initErrors" not in project.state()["one"], "its mark is gone"


def test_a_busy_port_leaves_a_container_that_the_next_up_replaces(project: Project) -> None:
    project.write('box("first", ports=[docker.ContainerPortArgs(internal=80, external=18977, ip="127.0.0.1")])')
    project.up()
    both = 'box("first", ports=[docker.ContainerPortArgs(internal=80, external=18977, ip="127.0.0.1")])\n'
    both += (
        'box("second", entrypoints=None, ports=[docker.ContainerPortArgs(internal=80, external=18977, ip="127.0.0.1")])'
    )
    project.write(both)
    text = project.up(fails=True)
    assert "Unable to start container: Error response from daemon: " in text, "the engine's refusal is shown"
    assert "KeyboardInterrupt" not in text, "that the program was ended with it is no news"
    assert project.container("second").status == "created", "the container stays, not started"
    project.container("first").remove(force=True)
    project.write(both.splitlines()[1])
    assert "1 replaced" in project.up(), "with the port free the next up replaces it"
    assert project.container("second").status == "running", "and it runs"


HOOK = """
    def gate(args):
        raise Exception("not ready: the database has exited")

    gates = [pulumi.ResourceHook("gate", gate)] if SETTINGS.get("gate") else []
    hooks = pulumi.ResourceHookBinding(before_create=gates)
    box("first")
    box("second", opts=pulumi.ResourceOptions(hooks=hooks))
"""


def test_a_before_create_hook_that_raises_leaves_its_resource_out_of_the_state(project: Project) -> None:
    project.run("config", "set", "gate", "closed")
    project.write(HOOK)
    assert "not ready: the database has exited" in project.up(fails=True), "the hook's message reaches the person"
    assert "second" not in project.state(), "nothing is recorded"
    with pytest.raises(NotFound):
        project.container("second")
    project.run("config", "rm", "gate")
    assert "1 created" in project.up(), "the next up makes it"


WRONG = """
    upload = docker.ContainerUploadArgs(file="/x", content="y", owner="me", permissions="0999")
    box("own", uploads=[upload], device_cgroup_rules=["a"], gpus="all")
"""
REASONS = ("('owner')", "own.deviceCgroupRules'", "'0999' doesn't match the pattern", "does not support 'gpus'")


def test_a_preview_already_names_everything_the_plugin_would_refuse(project: Project) -> None:
    project.write(WRONG)
    ran = project.run("preview")
    assert ran.code != 0, "nothing of this can be made"
    for reason in REASONS:
        assert reason in ran.text, f"{reason!r} is missing in:\n{ran.text}"


FAILURES = """
    def fails(name, **given):
        box(name, **given)

    fails("empty", uploads=[docker.ContainerUploadArgs(file="/x", content="")])
    fails("readonly", read_only=True, uploads=[docker.ContainerUploadArgs(file="/x", content="y")])
    fails("nocommand", command=["/nosuchbin"])
    fails("nonet", networks_advanced=[docker.ContainerNetworksAdvancedArgs(name="nosuchnet")])
    docker.Container("noimage", name=f"{PREFIX}-noimage", image="127.0.0.1:1/nosuch/image:1")
"""
WORDS = (
    "one of 'content', 'content_base64', or 'source' must be set",
    "Unable to upload volume content: Error response from daemon: container rootfs is marked read-only",
    "no such file or directory",
    "network nosuchnet not found",
    "Unable to create container with image 127.0.0.1:1/nosuch/image:1: unable to pull image",
)


def test_failures_are_told_in_the_engines_words(project: Project) -> None:
    project.write(FAILURES)
    text = project.up("--continue-on-error", fails=True)
    for words in WORDS:
        assert words in text, f"{words!r} is missing in:\n{text}"
    assert "noimage" not in project.state(), "without an image nothing was made"
    assert project.state()["readonly"]["initErrors"], "a container that was made is kept and marked"


def test_a_program_that_fails_is_told_as_the_official_host_tells_it(project: Project) -> None:
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
