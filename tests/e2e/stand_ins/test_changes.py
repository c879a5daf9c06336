"""The stand-ins under the real CLI and engine: what was observed of the real plugins' changes holds for them too."""

import pytest

from tests.e2e.stand_ins.project import SECRET, Project

pytestmark = pytest.mark.e2e

FULL = """
    net = docker.Network("net", name=f"{PREFIX}-net")
    vol = docker.Volume("vol", name=f"{PREFIX}-vol")
    password = random.RandomPassword("password", length=20)
    tag = random.RandomId("tag", byte_length=4)
    for name in ("one", "two"):
        box(
            name,
            capabilities=docker.ContainerCapabilitiesArgs(adds=["CAP_CHOWN"], drops=["ALL"]),
            cpus="0.5",
            destroy_grace_seconds=1,
            envs=["B=3", pulumi.Output.concat("SECRET=", SETTINGS.require_secret("secret"))],
            healthcheck=check(["CMD", "true"], start_period="1m0s"),
            hosts=[docker.ContainerHostArgs(host="gate", ip="host-gateway")],
            init=True,
            labels=[docker.ContainerLabelArgs(label="k", value=SETTINGS.get("label") or "v")],
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
            memory=64,
            memory_swap=64,
            mounts=[
                docker.ContainerMountArgs(target="/data", type="volume", source=vol.name),
                docker.ContainerMountArgs(target="/scratch", type="tmpfs",
                    tmpfs_options=docker.ContainerMountTmpfsOptionsArgs(size_bytes=1048576, mode=0o1777)),
            ],
            network_mode="bridge",
            networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=net.name, aliases=[name])],
            ports=[docker.ContainerPortArgs(internal=80, ip="127.0.0.1")],
            restart="unless-stopped",
            security_opts=["no-new-privileges:true"],
            shm_size=32,
            stop_signal="SIGTERM",
            stop_timeout=5,
            tmpfs={"/tmp": "size=16m"},
            ulimits=[docker.ContainerUlimitArgs(name="nofile", soft=1024, hard=2048)],
            uploads=[docker.ContainerUploadArgs(file="/opt/secret", content=password.result, permissions="0440")],
            user="999:999",
            wait=True,
            wait_timeout=30,
            working_dir="/tmp",
        )
    pulumi.export("tag", tag.hex)
"""


def test_a_full_stack_comes_up_once_and_then_nothing_changes_until_something_is_edited(project: Project) -> None:
    project.run("config", "set", "--secret", "secret", SECRET)
    project.write(FULL)
    project.up()
    assert project.names() == {"net", "vol", "one", "two"}, "every resource is on the engine under its fixed name"
    assert "7 unchanged" in project.up(), "a second up finds nothing to do"
    clean = project.run("preview", "--refresh", "--expect-no-changes")
    assert clean.code == 0, f"what is read back equals what was written:\n{clean.text}"
    clean = project.run("refresh", "--yes", "--expect-no-changes")
    assert clean.code == 0, f"refresh alone finds nothing either:\n{clean.text}"
    password = project.container("one").exec_run(["cat", "/opt/secret"], user="0").output.decode()
    assert len(password) == 20, "the generated password was uploaded whole"
    for kept in project.folder.joinpath("state").rglob("*"):
        text = kept.read_text() if kept.is_file() else ""
        assert SECRET not in text, f"{kept.name} holds a secret setting in the clear"
        assert password not in text, f"{kept.name} holds a generated password in the clear"
    before = project.container("one").id
    project.run("config", "set", "label", "w")
    assert "2 replaced" in project.up(), "a label is fixed when a container is made"
    assert project.container("one").id != before, "replaced means another container"
    assert project.run("destroy", "--yes", "--skip-preview").code == 0, "destroy works"
    assert project.names() == set(), "and leaves nothing"


FORMS = """
    for name, given in {
        "plain": {},
        "seconds": dict(healthcheck=docker.ContainerHealthcheckArgs(tests=["CMD", "true"], interval="60s")),
        "minutes": dict(healthcheck=docker.ContainerHealthcheckArgs(tests=["CMD", "true"], interval="1m0s")),
        "capability": dict(capabilities=docker.ContainerCapabilitiesArgs(adds=["CHOWN"])),
        "cpus": dict(cpus="1"),
        "memory": dict(memory=64),
        "ports": dict(ports=[
            docker.ContainerPortArgs(internal=81, ip="127.0.0.1"), docker.ContainerPortArgs(internal=80, ip="127.0.0.1")
        ]),
        "none": dict(network_mode="none"),
        "nohealth": dict(healthcheck=docker.ContainerHealthcheckArgs(tests=["NONE"])),
        "base64": dict(uploads=[docker.ContainerUploadArgs(file="/x", content_base64="AAE=", executable=True)]),
    }.items():
        box(name, **given)
"""


def test_values_not_written_as_the_engine_writes_them_show_as_changes(project: Project) -> None:
    project.write(FORMS)
    project.up()
    assert project.plan() == {"cpus": "replace"}, "without a refresh only the number of CPUs differs"
    assert project.plan("--refresh") == {
        "seconds": "update",
        "capability": "replace",
        "cpus": "replace",
        "memory": "update",
    }, "after a refresh all values differ that the engine writes in another way, and no others"


OTHERS = """
    net = docker.Network("net", name=f"{PREFIX}-net")
    inner = docker.Network("inner", name=f"{PREFIX}-inner", internal=True)
    label = docker.VolumeLabelArgs(label="a", value="b")
    vol = docker.Volume("vol", name=f"{PREFIX}-vol", labels=[label])
    Attached, Volume = docker.ContainerNetworksAdvancedArgs, docker.ContainerVolumeArgs
    box("by-mode", network_mode=net.name)
    box("by-both", network_mode=net.name, networks_advanced=[Attached(name=net.name, aliases=["x"])])
    box("by-id", networks_advanced=[Attached(name=net.id, aliases=["x"]), Attached(name=inner.name, aliases=["y"])])
    named = Volume(volume_name=vol.name, container_path="/a", read_only=True)
    bound = docker.ContainerMountArgs(type="bind", source="/tmp", target="/c", read_only=True)
    box("volumes", mounts=[bound], volumes=[named, Volume(container_path="/b")])
    box(
        "limits", cpu_set="0", cpu_shares=512, dns=["192.0.2.1"], dns_opts=["timeout:3"], dns_searches=["a.b"],
        domainname="d", group_adds=["5"], hostname="h", ipc_mode="private", log_driver="local", max_retry_count=2,
        memory=64, memory_reservation=16, memory_swap=-1, restart="on-failure", stdin_open=True,
        sysctls={"net.core.somaxconn": "256"}, tty=True, user="nobody",
    )
"""


def test_what_the_engine_writes_as_the_program_does_is_never_a_change(project: Project) -> None:
    project.write(OTHERS)
    project.up()
    assert "9 unchanged" in project.up(), "a second up finds nothing to do"
    clean = project.run("preview", "--refresh", "--expect-no-changes")
    assert clean.code == 0, f"what is read back equals what was written:\n{clean.text}"


def test_only_some_changes_in_place_reach_the_container(project: Project) -> None:
    project.write('box("one", healthcheck=check(["CMD", "true"]), memory=64, memory_swap=64)')
    project.up()
    before = project.container("one")
    project.write(
        'box("one", healthcheck=check(["CMD", "false"]), init=True, tmpfs={"/t": ""}, memory=96, memory_swap=96)'
    )
    assert "1 updated" in project.up(), "all of these are updates"
    after = project.container("one")
    assert after.id == before.id, "in place"
    assert after.attrs["HostConfig"]["Memory"] == 96 * 1024 * 1024, "memory is really changed"
    unchanged = after.attrs["Config"]["Healthcheck"]["Test"], after.attrs["HostConfig"]["Init"]
    assert unchanged == (["CMD", "true"], False), "health check and init are not, though pulumi says updated"
    edited = 'box("one", healthcheck=check(["CMD", "true"], start_period="9s"), memory=96, memory_swap=96, opts=%s)'
    asked = 'pulumi.ResourceOptions(replace_on_changes=["healthcheck"]%s)'
    project.write(edited % asked % "")
    text = project.up(fails=True)
    assert "Conflict" in text, "a replacement the program asks for is made before the old one goes"
    project.write(edited % asked % ", delete_before_replace=True")
    assert "1 replaced" in project.up(), "unless the program asks for that as well"


DRIFT = """
    port = [docker.ContainerPortArgs(internal=80, external=18978, ip="127.0.0.1")]
    box("stopped"), box("published", ports=port), box("removed"), box("idle", must_run=False)
"""


def test_only_a_refresh_sees_what_was_done_to_containers_by_hand(project: Project) -> None:
    project.write(DRIFT)
    project.up()
    for name in ("stopped", "published", "idle"):
        project.container(name).stop(timeout=0)
    project.container("removed").remove(force=True)
    assert "5 unchanged" in project.up(), "a plain up looks at nothing"
    planned = {"stopped": "update", "published": "replace", "removed": "create"}
    assert project.plan("--refresh") == planned, "a stopped container with ports is replaced, one without is started"
    stopped = project.container("stopped").id
    project.up("--refresh")
    assert project.container("stopped").status == "running", "it was started again"
    assert project.container("stopped").id == stopped, "in place"
    assert project.container("idle").status == "exited", "one that need not run is left alone"


JOB = """
    job = box("job", command=["sh", "-c", "echo hello; exit 3"], attach=True, logs=True, must_run=False)
    pulumi.export("code", job.exit_code)
    pulumi.export("logs", job.container_logs)
"""


def test_a_job_is_waited_for_and_its_end_is_left_to_the_program(project: Project) -> None:
    project.write(JOB)
    text = project.up()
    assert "code: 3" in text, "the exit code is an output, and no failure"
    assert 'logs: "hello\\n"' in text, "so is what the job wrote"
    assert "2 unchanged" in project.up("--refresh"), "a finished job is nothing to repair"


CASCADE = """
    db = box("db", labels=[docker.ContainerLabelArgs(label="edition", value=SETTINGS.get("edition") or "1")])
    box("by-id", envs=[pulumi.Output.concat("DB=", db.id)])
    box("by-name", envs=[pulumi.Output.concat("DB=", db.name)])
    box("after", opts=pulumi.ResourceOptions(depends_on=[db]))
"""


def test_what_depends_on_a_replaced_containers_id_is_replaced_with_it(project: Project) -> None:
    project.write(CASCADE)
    project.up()
    project.run("config", "set", "edition", "2")
    before = {name: project.container(name).id for name in ("db", "by-id", "by-name", "after")}
    project.up()
    replaced = {name for name, identifier in before.items() if project.container(name).id != identifier}
    assert replaced == {"db", "by-id"}, "a fixed name and an order alone do not carry a replacement on"


WIRED = """
    labels = [docker.NetworkLabelArgs(label="edition", value=SETTINGS.get("edition") or "1")]
    net = docker.Network("net", name=f"{PREFIX}-net", labels=labels)
    box("one", networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=net.name)])
"""


def test_containers_leave_a_network_before_it_is_replaced(project: Project) -> None:
    project.write(WIRED)
    project.up()
    project.run("config", "set", "edition", "2")
    assert project.plan() == {"net": "replace", "one": "replace"}, "the preview tells of both"
    assert "2 replaced" in project.up(), "and both are, though the network's name stays the same"
