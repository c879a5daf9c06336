"""A failed `pulumi up` names the cause and leaves nothing half done; the next one succeeds. Steps in their order."""

import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from components.settings.model import setting_fields
from tests.e2e.conftest import MakeStack
from tests.e2e.runs import RunningUp
from tests.support.commands import stdout_of
from tests.support.durations import Took
from tests.support.project import PROJECT
from tests.support.stack import ADMIN, Stack
from tests.support.waiting import until
from tools.recovery import recover

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.scenario, pytest.mark.simulator]


@contextmanager
def listening() -> Iterator[int]:
    """Listen on a port of this machine."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        yield busy.getsockname()[1]


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, dumps: str) -> Stack:
    """Initialise a stack without replica whose first dump has an SQL error."""
    return make_stack(cores=1, replicas=0, dumpUrl=f"{dumps}/broken.sql.gz")


def test_all_setting_errors_are_reported_at_once_and_nothing_is_created(stack: Stack) -> None:
    file = stack.folder / f"Pulumi.{stack.name}.yaml"
    valid = file.read_text()
    invalid = {f"{PROJECT}:{key}": "valid for no setting" for key in (*setting_fields(), "noSuchSetting")}
    content = yaml.safe_load(valid)
    file.write_text(yaml.safe_dump({**content, "config": invalid}))
    text = stack.failing_up()
    for key in (*setting_fields(), "noSuchSetting"):
        assert re.search(rf"^ *{key}: .*; fix: pulumi config (set|rm) ", text, re.MULTILINE), f"{key} in:\n{text}"
    assert "Traceback" not in text
    assert stack.leftovers() == []
    file.write_text(valid)


def test_too_little_memory_is_reported_and_nothing_is_created(stack: Stack) -> None:
    stack.set(coreMemory="1024g")
    text = stack.failing_up()
    assert "the stack may use" in text and "Use less: pulumi config set coreMemory" in text
    assert stack.leftovers() == []
    stack.set(coreMemory=512)


def test_a_busy_port_is_reported_and_nothing_is_created(stack: Stack) -> None:
    with listening() as port:
        stack.set(port=port)
        text = stack.failing_up()
    assert f"port {port} on 127.0.0.1 is in use" in text
    assert stack.leftovers() == []
    stack.set(port=stack.port)


def test_an_unreachable_docker_engine_is_reported(stack: Stack) -> None:
    stack.set(dockerHost="unix:///nowhere/docker.sock")
    text = stack.failing_up()
    assert "Docker Engine at unix:///nowhere/docker.sock does not answer" in text
    stack.must("config", "rm", "dockerHost", "--stack", stack.name)


def test_a_missing_image_is_named_before_anything_is_created(stack: Stack) -> None:
    stack.set(image="dhis2-cluster/no-such-image:2.43.1")
    text = stack.failing_up()
    assert "cannot be pulled: dhis2-cluster/no-such-image:2.43.1 (" in text
    assert "pulumi config set image" in text
    assert stack.leftovers() == []
    stack.set(image="dhis2-cluster/dhis2-simulator:2.43.1")


def test_an_error_in_a_dump_is_reported_and_no_core_starts_on_half_a_database(stack: Stack) -> None:
    text = stack.failing_up()
    assert "no_such_function" in text, f"the message of PostgreSQL is missing:\n{text}"
    assert not [part for part in stack.containers() if part.startswith("core")]


def test_the_next_up_with_a_good_dump_succeeds(stack: Stack, dumps: str) -> None:
    stack.set(dumpUrl=f"{dumps}/small.sql.gz")
    stack.up()
    with stack.client(auth=ADMIN) as client:
        assert client.get("/api/me").status_code == 200


def test_a_core_that_cannot_boot_fails_up_with_its_log(stack: Stack) -> None:
    stack.set(javaOptions="-XX:NoSuchOption", cores=2)
    text = stack.failing_up()
    assert "NoSuchOption" in text, f"the log lines are missing:\n{text}"
    assert "core-1" in text
    again = stack.failing_up()
    assert "NoSuchOption" in again, "a second up must not take a broken core for a running one"


def test_destroy_after_a_failed_up_leaves_nothing(stack: Stack) -> None:
    stack.destroy()
    assert stack.leftovers() == []


def test_a_killed_up_is_completed_by_the_next(stack: Stack) -> None:
    stack.must("config", "rm", "javaOptions", "--stack", stack.name)
    stack.set(cores=1)
    with RunningUp(stack) as up:
        until(lambda: "primary" in stack.containers(), "the primary to be created", too_late=up.exited)
        up.kill((), signal.SIGKILL)
        up.code()
    # As when it is killed while it writes the state, which takes a moment of each step.
    (stack.folder / "state" / ".pulumi" / "stacks" / PROJECT / f"{stack.name}.json.attrs").write_bytes(b"")
    recover(stack.environment, stack.name, "unix:///var/run/docker.sock")
    stack.up()
    with stack.client() as client:
        assert client.get("/api/ping").status_code == 200
    assert stack.changes() == {}


def test_what_was_removed_by_hand_comes_back_with_a_refresh(stack: Stack, took: Took) -> None:
    stack.container("cache").remove(force=True, v=True)
    stack.container("core-1").stop(timeout=20)
    text = stack.failing_up()
    assert "pulumi up --refresh" in text, f"the fix is missing:\n{text}"
    with took("up --refresh after a container was removed"):
        stack.up("--refresh")
        stack.wait_healthy("cache", "core-1")


def test_two_stacks_run_side_by_side(stack: Stack, make_stack: MakeStack) -> None:
    other = make_stack(cores=1, replicas=0, dumpUrl="none")
    other.up()
    before = stack.containers()
    with stack.client() as one, other.client(auth=ADMIN) as two:
        assert one.get("/api/ping").status_code == 200
        assert two.get("/api/system/info").json()["readReplicaCount"] == 0
    other.destroy()
    assert other.leftovers() == []
    assert stack.containers() == before
    with stack.client() as one:
        assert one.get("/api/ping").status_code == 200, "destroying the other does not touch this one"


@pytest.mark.parametrize(
    "name", [pytest.param("dhis2-2.42.5-empty.sql.gz", marks=pytest.mark.long), "dhis2-2.42.5-sample.sql.gz"]
)
def test_dumps_of_a_real_dhis2_are_restored(stack: Stack, real_dumps: Path, name: str) -> None:
    stack.set(
        version="2.42.5", image="dhis2-cluster/dhis2-simulator:2.42.5", dumpUrl=str(real_dumps / name), replicas=1
    )
    stack.up()
    units = int(stack.sql("SELECT count(*) FROM organisationunit"))
    assert units == (1314 if "sample" in name else 0)
    owners = stack.sql(
        "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'spatial_ref_sys'"
    )
    assert owners == "dhis", "DHIS2 alters its tables, which only their owner may"
    with stack.client(auth=ADMIN) as client:
        assert client.get("/api/me").status_code == 200
    stack.wait_sql("SELECT count(*) FROM organisationunit", str(units), "replica-1")
    assert stack.outputs()["version"] == "2.42.5"


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("-Fc",), id="custom format"),
        pytest.param(("--clean",), id="plain with --clean", marks=pytest.mark.long),
    ],
)
def test_a_backup_of_the_stack_is_restored(stack: Stack, options: tuple[str, ...], took: Took) -> None:
    stack.sql("CREATE TABLE since_then (n int)")
    backup = stack.folder / "backup.dump"
    dump = ["pg_dump", "-h", "/var/run/postgresql", "-U", "postgres", *options, "dhis"]
    backup.write_bytes(stdout_of(stack.container("primary"), *dump))
    stack.sql("DROP TABLE since_then")
    stack.set(dumpUrl=backup, replicas=0)
    with took(f"up with a backup made with {' '.join(options)}"):
        stack.up()
    assert stack.sql("SELECT count(*) FROM since_then") == "0", "the table is there again"
    with stack.client(auth=ADMIN) as client:
        assert client.get("/api/me").status_code == 200
    stack.sql("DROP TABLE since_then")
