"""The helpers of all tiers: containers as the program starts them, removed after any failure, waits that end."""

import pytest

from components.orchestrator.commands import NOT_RUNNING
from tests.support.commands import execute, shell, shell_output
from tests.support.containers import Containers, MissingImage
from tests.support.http import NO_ANSWER, ask, ask_inside
from tests.support.project import NGINX, VALKEY
from tests.support.waiting import WaitError, until, until_exited, until_logged

pytestmark = pytest.mark.container


def names(containers: Containers) -> list[str]:
    """Return the names of all containers, volumes and networks with the prefix."""
    client, filters = containers.client, {"name": containers.prefix}
    started = [container.name for container in client.containers.list(all=True, filters=filters, ignore_removed=True)]
    volumes = [volume.name for volume in client.volumes.list(filters=filters)]
    networks = [network.name for network in client.networks.list(filters=filters)]
    return [str(name) for name in (*started, *volumes, *networks)]


def test_everything_is_removed_after_a_failure() -> None:
    containers = Containers()
    with pytest.raises(RuntimeError), containers:
        volumes = {containers.volume(): {"bind": "/data", "mode": "rw"}}
        containers.start(VALKEY, "sleep", "60", volumes=volumes)
        containers.create(VALKEY, network=containers.add_network(internal=True))
        assert len(names(containers)) == 5, "two containers, a volume and two networks"
        raise RuntimeError
    assert names(containers) == []


def test_one_failed_removal_stops_no_other() -> None:
    containers = Containers()
    with pytest.raises(Exception, match="not found"), containers:
        containers.start(VALKEY, "sleep", "60")
        containers.add_network().remove()
    assert names(containers) == []


def test_a_container_is_hardened_and_has_its_files_before_its_command(containers: Containers) -> None:
    files: dict[str, str | bytes] = {"/opt/run.sh": "echo from a file; grep CapBnd /proc/self/status"}
    container = containers.start(VALKEY, "/bin/sh", "/opt/run.sh", files=files, mem_limit="64m")
    log = until_exited(container)
    assert "from a file" in log
    assert log.split()[-1].strip("0") == "", f"no capability is left: {log}"
    host = container.attrs["HostConfig"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"] and host["Init"]
    assert host["MemorySwap"] == host["Memory"] == 64 * 2**20, "no swap"


def test_an_alias_resolves_on_the_network(containers: Containers) -> None:
    containers.start(NGINX, alias="web")
    client = containers.start(NGINX, "sleep", "60")
    through_alias = ("--connect-to", "::web:")
    until(lambda: ask_inside(client, "/", *through_alias).status == 200, "the server to answer", container=client)


def test_a_wait_ends_when_its_container_exits(containers: Containers) -> None:
    container = containers.start(VALKEY, "sh", "-c", "echo the cause; exit 3")
    with pytest.raises(WaitError, match=r"(?s)exited while waiting for: a text.*the cause"):
        until(lambda: False, "a text", container=container)
    with pytest.raises(WaitError, match="exited"):
        until_logged(container, "never written")


def test_a_wait_ends_in_time_and_when_it_is_too_late() -> None:
    with pytest.raises(WaitError, match="timed out after 0 s waiting for: rain"):
        until(lambda: False, "rain", seconds=0)
    with pytest.raises(WaitError, match="too late for: rain"):
        until(lambda: False, "rain", too_late=lambda: True)


def test_a_wait_sees_what_happens_right_before_it_is_too_late() -> None:
    happened: list[bool] = []

    def too_late() -> bool:
        happened.append(True)
        return True

    until(lambda: happened, "the last event", too_late=too_late)


def test_a_command_reports_its_exit_code_and_that_nothing_runs(containers: Containers) -> None:
    container = containers.start(VALKEY, "sleep", "60")
    code, text = shell(container, "echo out; echo error >&2; exit 4")
    assert (code, sorted(text.split())) == (4, ["error", "out"]), "the two streams arrive in any order"
    with pytest.raises(AssertionError, match="exited with 4"):
        shell_output(container, "exit 4")
    container.kill()
    assert execute(container, "true")[0] == NOT_RUNNING


def test_no_answer_is_no_exception(containers: Containers) -> None:
    container = containers.start(NGINX, "sleep", "60")
    assert ask(containers.address(container), "/", seconds=2).status == NO_ANSWER
    assert ask_inside(container, "/", seconds=2).status == NO_ANSWER


def test_a_missing_image_is_a_failure_that_names_the_fix(containers: Containers) -> None:
    with pytest.raises(MissingImage, match=r"build it: python -m offline\.images dhis2-cluster/none:1"):
        containers.start("dhis2-cluster/none:1")
