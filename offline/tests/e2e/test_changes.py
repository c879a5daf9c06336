"""The fake plugins with the real CLI and Docker Engine: they change what the real plugins were observed to change."""

import pytest

from offline.tests.e2e.project import SECRET, Project

pytestmark = pytest.mark.e2e

FULL = """
    net = docker.Network("net", name=f"{PREFIX}-net")
    inner = docker.Network("inner", name=f"{PREFIX}-inner", internal=True)
    label = docker.VolumeLabelArgs(label="a", value="b")
    volume = docker.Volume("vol", name=f"{PREFIX}-vol", labels=[label])
    image = docker.RemoteImage("image", name=IMAGE, keep_locally=True)
    password = random.RandomPassword("password", length=20, special=False)
    tag = random.RandomId("tag", byte_length=4)
    Attached = docker.ContainerNetworksAdvancedArgs
    for name, port in (("one", 18975), ("two", 18976)):
        container(
            name,
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            destroy_grace_seconds=1,
            envs=["B=3", pulumi.Output.concat("SECRET=", SETTINGS.require_secret("secret"))],
            healthcheck=healthcheck("true", start_period="1m0s", retries=2),
            hostname=name,
            init=True,
            labels=[docker.ContainerLabelArgs(label="k", value=SETTINGS.get("label") or "v")],
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
            memory=64,
            memory_swap=64,
            mounts=[
                docker.ContainerMountArgs(target="/data", type="volume", source=volume.name),
                docker.ContainerMountArgs(target="/read", type="volume", source=volume.name, read_only=True),
            ],
            network_mode="bridge",
            networks_advanced=[Attached(name=net.id, aliases=[name]), Attached(name=inner.name, aliases=["b", "a"])],
            ports=[
                docker.ContainerPortArgs(internal=81, external=port + 2, ip="127.0.0.1", protocol="tcp"),
                docker.ContainerPortArgs(internal=80, external=port, ip="127.0.0.1"),
            ],
            restart="unless-stopped",
            security_opts=["no-new-privileges:true"],
            shm_size=32,
            stop_signal="SIGTERM",
            stop_timeout=5,
            tmpfs={"/tmp": "size=16m"},
            uploads=[docker.ContainerUploadArgs(file="/opt/secret", content=password.result, permissions="0440")],
            user="999:999",
        )
    pulumi.export("tag", tag.hex)
"""


def test_a_second_up_and_a_refresh_change_nothing_and_the_state_holds_no_secret_in_clear(project: Project) -> None:
    project.run("config", "set", "--secret", "secret", SECRET)
    project.write(FULL)
    text = project.up()
    assert "$PATH" not in text, f"plugins in PULUMI_HOME need no warning:\n{text}"
    assert project.names() == {"net", "inner", "vol", "one", "two"}, "every resource has its fixed name in Docker"
    assert "9 unchanged" in project.up(), "a second up changes nothing"
    for command in (("preview", "--refresh"), ("refresh", "--yes")):
        result = project.run(*command, "--expect-no-changes")
        assert result.code == 0, f"what Docker Engine reports equals what was written:\n{result.text}"
    password = project.container("one").exec_run(["cat", "/opt/secret"], user="0").output.decode()
    assert len(password) == 20, "the generated password was uploaded whole"
    for path in project.folder.joinpath("state").rglob("*"):
        text = path.read_text() if path.is_file() else ""
        assert SECRET not in text, f"{path.name} holds a secret setting in clear"
        assert password not in text, f"{path.name} holds a generated password in clear"
    before = project.container("one").id
    project.run("config", "set", "label", "w")
    assert "2 replaced" in project.up(), "a label is fixed when a container is created"
    assert project.container("one").id != before, "a replaced container is another one"
    assert project.run("destroy", "--yes", "--skip-preview").code == 0, "destroy succeeds"
    assert project.names() == set(), "destroy leaves nothing"


FORMS = """
    for name, properties in {
        "plain": {},
        "seconds": dict(healthcheck=docker.ContainerHealthcheckArgs(tests=["CMD", "true"], interval="60s")),
        "minutes": dict(healthcheck=docker.ContainerHealthcheckArgs(tests=["CMD", "true"], interval="1m0s")),
        "memory": dict(memory=64),
        "swap": dict(memory=64, memory_swap=-1, restart="on-failure"),
    }.items():
        container(name, **properties)
"""


def test_values_not_written_in_dockers_form_differ_after_a_refresh(project: Project) -> None:
    project.write(FORMS)
    project.up()
    assert project.changes() == {}, "without a refresh the state holds what was written"
    assert project.changes("--refresh") == {"seconds": "update", "memory": "update"}, "and no others"


def test_only_some_updates_reach_the_container(project: Project) -> None:
    project.write('container("one", healthcheck=healthcheck("true"), memory=64, memory_swap=64)')
    project.up()
    before = project.container("one")
    project.write(
        'container("one", healthcheck=healthcheck("false"), init=True, tmpfs={"/t": ""}, memory=96, memory_swap=96)'
    )
    assert "1 updated" in project.up(), "all of these are updates"
    after = project.container("one")
    assert after.id == before.id, "an update keeps the container"
    assert after.attrs["HostConfig"]["Memory"] == 96 * 1024 * 1024, "memory is updated in Docker"
    unchanged = after.attrs["Config"]["Healthcheck"]["Test"], after.attrs["HostConfig"]["Init"]
    assert unchanged == (["CMD", "true"], False), "healthcheck and init are updated in the state only"
    edited = 'container("one", healthcheck=healthcheck("true", start_period="9s"), memory=96, memory_swap=96, opts=%s)'
    options = 'pulumi.ResourceOptions(replace_on_changes=["healthcheck"]%s)'
    project.write(edited % options % "")
    text = project.up(fails=True)
    assert "Conflict" in text, "a replacement that the program asks for is created before the old one is deleted"
    project.write(edited % options % ", delete_before_replace=True")
    assert "1 replaced" in project.up(), "unless the program asks for delete_before_replace as well"


DRIFT = """
    port = [docker.ContainerPortArgs(internal=80, external=18978, ip="127.0.0.1")]
    container("stopped"), container("published", ports=port), container("removed"), container("idle", must_run=False)
"""


def test_only_a_refresh_sees_containers_stopped_or_removed_by_hand(project: Project) -> None:
    project.write(DRIFT)
    project.up()
    for name in ("stopped", "published", "idle"):
        project.container(name).stop(timeout=0)
    project.container("removed").remove(force=True)
    assert "5 unchanged" in project.up(), "a plain up reads no container"
    expected = {"stopped": "update", "published": "replace", "removed": "create"}
    assert project.changes("--refresh") == expected, "one with published ports is replaced, another one started"
    stopped = project.container("stopped").id
    project.up("--refresh")
    assert project.container("stopped").status == "running", "it is started again"
    assert project.container("stopped").id == stopped, "an update keeps the container"
    assert project.container("idle").status == "exited", "one without must_run stays as it is"


CASCADE = """
    db = container("db", labels=[docker.ContainerLabelArgs(label="edition", value=SETTINGS.get("edition") or "1")])
    container("by-id", envs=[pulumi.Output.concat("DB=", db.id)])
    container("by-name", envs=[pulumi.Output.concat("DB=", db.name)])
    container("after", opts=pulumi.ResourceOptions(depends_on=[db]))
"""


def test_a_container_that_uses_the_id_of_a_replaced_one_is_replaced(project: Project) -> None:
    project.write(CASCADE)
    project.up()
    project.run("config", "set", "edition", "2")
    before = {name: project.container(name).id for name in ("db", "by-id", "by-name", "after")}
    project.up()
    replaced = {name for name, identifier in before.items() if project.container(name).id != identifier}
    assert replaced == {"db", "by-id"}, "a fixed name and depends_on replace nothing"


ATTACHED = """
    labels = [docker.NetworkLabelArgs(label="edition", value=SETTINGS.get("edition") or "1")]
    net = docker.Network("net", name=f"{PREFIX}-net", labels=labels)
    container("one", networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=net.id)])
"""


def test_the_containers_of_a_replaced_network_are_replaced(project: Project) -> None:
    project.write(ATTACHED)
    project.up()
    project.run("config", "set", "edition", "2")
    assert project.changes() == {"net": "replace", "one": "replace"}, "the preview shows both"
    assert "2 replaced" in project.up(), "both are replaced, though the network keeps its name"
