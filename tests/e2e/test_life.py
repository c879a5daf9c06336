"""The life of a stack, from nothing to nothing: each test goes on where the one before it left the stack."""

import json
from pathlib import Path

import httpx
import pytest

from tests.e2e.clients import at_core, log_in, nodes, readers, told_by
from tests.e2e.conftest import MakeStack
from tests.e2e.lives import Lives
from tests.e2e.load import Load
from tests.e2e.stack import ADMIN, PASSPHRASE, Stack, wait_until

pytestmark = pytest.mark.e2e

ROW = "INSERT INTO userkeyjsonvalue"
UNIT = "SELECT uid FROM organisationunit ORDER BY uid LIMIT 1"


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, dumps: str) -> Stack:
    """One core, one replica, the sample dump over HTTP; deployed."""
    made = make_stack(cores=1, replicas=1, dumpUrl=f"{dumps}/sample.sql.gz")
    made.up()
    return made


@pytest.fixture
def session(stack: Stack) -> httpx.Cookies:
    """The cookies of somebody who has logged in through the load balancer."""
    return log_in(stack)


def test_up_from_nothing_ends_with_dhis2_answering_through_the_load_balancer(stack: Stack) -> None:
    outputs = stack.outputs()
    assert httpx.get(f"{outputs['url']}/api/ping").status_code == 200, "up has ended, so it answers at its address"
    with stack.client(auth=(outputs["username"], outputs["adminPassword"])) as client:
        info = client.get("/api/system/info").json()
    assert info["nodeId"] == "core-1"
    assert info["redisEnabled"] is True, "sessions would end with their core"
    assert info["readReplicaCount"] == 1
    assert info["readOnlyMode"] == "off", "start-up routines would be skipped"
    assert int(stack.sql("SELECT count(*) FROM datavalue")) >= 300_000, "the dump is there whole"


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    before = stack.containers()
    assert "unchanged" in stack.up()
    assert stack.changes() == {}
    done = stack.pulumi("preview", "--refresh", "--expect-no-changes", "--stack", stack.name)
    assert done.code == 0, f"what the engine reports is not what was written:\n{done.text}"
    assert stack.containers() == before


def test_no_secret_is_seen_where_anybody_looks(stack: Stack) -> None:
    state = json.loads(stack.must("stack", "export", "--show-secrets", "--stack", stack.name))
    resources = state["deployment"]["resources"]
    passwords = {
        json.loads(each["outputs"]["result"]["plaintext"])
        for each in resources
        if each["type"] == "random:index/randomPassword:RandomPassword"
    }
    assert len(passwords) == 4, "database, replication, cache, encryption"
    stored = "".join(path.read_text() for path in (stack.folder / "state").rglob("*.json*"))
    for part in stack.containers():
        shown = json.dumps(stack.container(part).attrs) + stack.log(part)
        assert not [each for each in passwords if each in shown], f"{part}: docker inspect or logs show a secret"
    assert not [each for each in (*passwords, PASSPHRASE) if each in stored], "the state has a secret in clear"


def test_only_the_load_balancer_is_published_and_the_data_network_is_out_of_its_reach(stack: Stack) -> None:
    published = {part for part in stack.containers() if stack.container(part).attrs["HostConfig"]["PortBindings"]}
    assert published == {"lb"}
    code, _ = stack.container("lb").exec_run(["curl", "-s", "--max-time", "2", "telnet://postgres-primary:5432"])
    assert code == 6, "its name is not even known there"
    for part, port in (("primary", 5432), ("replica-1", 5432), ("cache", 6379)):
        for network in stack.container(part).attrs["NetworkSettings"]["Networks"].values():
            address = network["IPAddress"]
            assert _connects(stack, "core-1", address, port), f"{part} is not where this test looks"
            assert not _connects(stack, "lb", address, port), f"who knows the address of {part} gets no further"


def _connects(stack: Stack, part: str, address: str, port: int) -> bool:
    """Whether a part gets a connection to an address within a second."""
    told = ["-s", "-o", "/dev/null", "-w", "%{time_connect}", "--max-time", "1"]
    _, output = stack.container(part).exec_run(["curl", *told, f"telnet://{address}:{port}"])
    return float(output) > 0


def test_rows_arrive_on_the_replica_which_takes_none_itself(stack: Stack) -> None:
    stack.sql("CREATE TABLE e2e_rows (n int); INSERT INTO e2e_rows VALUES (1)")
    stack.wait_sql("SELECT n FROM e2e_rows", "1", "replica-1")
    code, output = stack.attempt_sql("INSERT INTO e2e_rows VALUES (2)", "replica-1")
    assert code != 0, "a replica that takes rows loses them"
    assert "read-only" in output


def test_reads_reach_the_replica(stack: Stack, session: httpx.Cookies) -> None:
    with stack.client(cookies=session) as client:
        answer = client.get("/api/dataItems?pageSize=1")
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-DHIS2-Simulator-Served-By"] == "postgres-replica-1", (
        "the replica would be there for nothing"
    )


def test_scaling_under_load_fails_no_request_and_touches_nobody_else(stack: Stack, session: httpx.Cookies) -> None:
    before = stack.containers()
    with Load(f"http://127.0.0.1:{stack.port}", session) as load:
        wait_until(lambda: load.count > 50, "some requests before")
        stack.set(cores=3)
        stack.up()
        scaled = stack.containers()
        served = load.count
        wait_until(lambda: load.count > served + 200, "some requests on three cores")
        wait_until(lambda: nodes(stack, session) == {"core-1", "core-2", "core-3"}, "all three to be asked")
        stack.set(cores=1)
        stack.up()
        served = load.count
        wait_until(lambda: load.count > served + 50, "some requests after")
    assert not load.failures, f"of {load.count} requests failed: {dict(load.failures)}: {load.told}"
    assert scaled.keys() - before.keys() == {"core-2", "core-3"}
    assert {part: scaled[part] for part in before} == before, "users of the others noticed"
    assert stack.containers() == before


def test_a_session_lives_on_every_core(stack: Stack, session: httpx.Cookies) -> None:
    stack.set(cores=2)
    stack.up()
    for core in ("core-1", "core-2"):
        told = told_by(stack, core, session, "/api/system/info")
        assert told["nodeId"] == core, "each core has a name of its own, and knows who is logged in"


def test_what_was_uploaded_at_one_core_can_be_fetched_at_the_other(stack: Stack, session: httpx.Cookies) -> None:
    told = json.loads(at_core(stack, "core-1", session, "/api/fileResources", "-F", "file=@/etc/os-release"))
    path = f"/api/fileResources/{told['response']['fileResource']['id']}/data"
    assert at_core(stack, "core-2", session, path) == stack.inside("core-1", "cat", "/etc/os-release")


def test_new_options_go_round_the_cores_without_taking_the_service_away(stack: Stack, session: httpx.Cookies) -> None:
    before = stack.containers()
    with Load(f"http://127.0.0.1:{stack.port}", session, writes=False) as load:
        wait_until(lambda: load.count > 20, "some requests before")
        stack.set(javaOptions="-Dround=one")
        stack.up()
    assert not load.failures, f"of {load.count} requests failed: {dict(load.failures)}: {load.told}"
    after = stack.containers()
    assert {part for part in before if after[part] != before[part]} == {"core-1", "core-2"}


def test_replicas_come_and_go(stack: Stack, session: httpx.Cookies) -> None:
    primary = stack.containers()["primary"]
    stack.sql("CREATE TABLE e2e_replicas (n int, at timestamptz DEFAULT clock_timestamp())")
    for number in (2, 0, 1):
        stack.set(replicas=number)
        stack.up()
        replicas = {part for part in stack.containers() if part.startswith("replica-")}
        assert replicas == {f"replica-{each}" for each in range(1, number + 1)}
        with stack.client(auth=ADMIN) as client:
            assert client.get("/api/system/info").json()["readReplicaCount"] == number
        reading = {f"postgres-{each}" for each in replicas} or {"primary"}
        assert readers(stack, "core-1", session) == reading, "a replica nobody reads from is there for nothing"
        stack.sql(f"INSERT INTO e2e_replicas VALUES ({number})")  # noqa: S608 - a number of our own
        for each in replicas:
            stack.wait_sql("SELECT n FROM e2e_replicas ORDER BY at DESC LIMIT 1", str(number), each)
    assert stack.containers()["primary"] == primary, "nobody who writes had to notice"
    assert stack.sql("SELECT n FROM e2e_rows", "replica-1") == "1"


@pytest.mark.parametrize(
    ("dump", "cause"),
    [
        ("missing.sql.gz", "404"),
        ("page.sql.gz", "web page"),
        ("truncated.sql.gz", "truncated"),
    ],
)
def test_a_bad_dump_costs_nothing_of_what_is_there(stack: Stack, dumps: str, dump: str, cause: str) -> None:
    before = {part: found for part, found in stack.containers().items() if part != "dump"}
    stack.set(dumpUrl=f"{dumps}/{dump}")
    text = stack.failing_up()
    assert cause in text, f"the cause is not named:\n{text}"
    assert f"{dumps}/{dump}" in text, "nor which dump"
    assert {part: found for part, found in stack.containers().items() if part != "dump"} == before
    with stack.client() as client:
        assert client.get("/api/ping").status_code == 200, "people go on working"
    assert stack.sql("SELECT n FROM e2e_rows") == "1"


def test_another_dump_is_not_loaded_over_data_that_is_kept(stack: Stack, dumps: str) -> None:
    stack.set(keepData="true", dumpUrl=f"{dumps}/small.sql.gz")
    text = stack.up()
    assert stack.sql("SELECT n FROM e2e_rows") == "1"
    assert "keepData" in text, "the person should know that the new dump is not there"


def test_destroy_leaves_the_volumes_that_are_kept_and_the_next_up_takes_them_up(stack: Stack) -> None:
    stack.destroy()
    kept = ("primary-data", "replica-1-data", "files", "cache-data")
    assert sorted(stack.leftovers()) == sorted(f"{stack.prefix}-{each}" for each in kept)
    stack.up()
    assert stack.sql("SELECT n FROM e2e_rows") == "1"
    stack.sql("INSERT INTO e2e_rows VALUES (2)")
    stack.wait_sql("SELECT count(*) FROM e2e_rows", "2", "replica-1")
    assert "cloning" not in stack.log("replica-1"), "its volume was there"
    session = log_in(stack)
    upload = stack.sql("SELECT uid FROM fileresource ORDER BY created DESC LIMIT 1")
    told = at_core(stack, "core-1", session, f"/api/fileResources/{upload}/data")
    assert told == stack.inside("core-1", "cat", "/etc/os-release"), "uploads are kept too"
    stack.set(keepData="false")
    stack.up()
    assert stack.sql("SELECT count(*) FROM e2e_rows") == "2", "toggling keepData never touches data"


def test_another_dump_replaces_the_database_and_the_preview_says_so(stack: Stack, dumps: str) -> None:
    stack.set(dumpUrl=f"{dumps}/sample.sql.gz")
    assert stack.changes()["primary"].endswith("replace"), "nobody loses data without having been told"
    old = {stack.containers()[core] for core in ("core-1", "core-2")}
    with Lives(stack, "core") as lives:
        stack.up()
    lives.assert_replaced(old, 2)
    assert stack.attempt_sql("SELECT n FROM e2e_rows")[0] != 0, "this is the new dump's database"
    wait_until(
        lambda: (
            stack.attempt_sql("SELECT n FROM e2e_rows", "replica-1")[0] != 0
            and stack.sql("SELECT pg_is_in_recovery()", "replica-1") == "t"
        ),
        "the replica to follow the new primary",
    )


def test_destroy_leaves_nothing(stack: Stack, tmp_path: Path) -> None:
    stack.destroy()
    assert stack.leftovers() == []
