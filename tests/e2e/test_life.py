"""The life of a stack, from nothing to nothing: steps in their order."""

import json

import httpx
import pytest

from tests.e2e.clients import at_core, build_analytics, json_at_core, nodes, readers
from tests.e2e.conftest import MakeStack
from tests.e2e.events import ContainerEvents
from tests.e2e.processes import started
from tests.support.commands import execute
from tests.support.containers import Containers
from tests.support.load import Load, reads
from tests.support.project import POSTGRES
from tests.support.stack import ADMIN, PASSPHRASE, Stack, log_in
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.scenario]

PERSISTENCE = "SELECT relpersistence FROM pg_class WHERE relname = 'analytics'"


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, dumps: str) -> Stack:
    """Deploy one core and one replica with the sample dump over HTTP."""
    stack = make_stack(cores=1, replicas=1, dumpUrl=f"{dumps}/sample.sql.gz")
    stack.up()
    return stack


@pytest.fixture
def session(stack: Stack) -> httpx.Cookies:
    """Return the cookies of a user who has logged in through the load balancer."""
    return log_in(stack)


def test_up_from_nothing_ends_with_dhis2_answering_through_the_load_balancer(stack: Stack) -> None:
    outputs = stack.outputs()
    assert httpx.get(f"{outputs['url']}/api/ping").status_code == 200, "DHIS2 answers once up has finished"
    with stack.client(auth=(outputs["username"], outputs["adminPassword"])) as client:
        info = client.get("/api/system/info").json()
    assert info["nodeId"] == "core-1"
    assert info["redisEnabled"] is True, "sessions would end with their core"
    assert info["readReplicaCount"] == 1
    assert info["readOnlyMode"] == "off", "start-up routines would be skipped"
    assert int(stack.sql("SELECT count(*) FROM datavalue")) >= 300_000, "the whole dump is restored"


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    before = stack.containers()
    assert "unchanged" in stack.up()
    assert stack.changes() == {}
    done = stack.pulumi("preview", "--refresh", "--expect-no-changes", "--stack", stack.name)
    assert done.code == 0, f"Docker Engine reports other values than the program wrote:\n{done.text}"
    assert stack.containers() == before


def test_no_secret_is_in_inspect_logs_or_plain_state(stack: Stack) -> None:
    state = json.loads(stack.must("stack", "export", "--show-secrets", "--stack", stack.name))
    resources = state["deployment"]["resources"]
    passwords = {
        json.loads(resource["outputs"]["result"]["plaintext"])
        for resource in resources
        if resource["type"] == "random:index/randomPassword:RandomPassword"
    }
    assert len(passwords) == 6, "database, replication, cache, encryption, backups, the user admin"
    stored = "".join(path.read_text() for path in (stack.folder / "state").rglob("*.json*"))
    for part in stack.containers():
        shown = json.dumps(stack.container(part).attrs) + stack.log(part)
        assert not [secret for secret in passwords if secret in shown], f"inspect or logs of {part} show a secret"
    assert not [secret for secret in (*passwords, PASSPHRASE) if secret in stored], (
        "a secret is in plain text in the state"
    )


def test_only_the_load_balancer_is_published_and_the_data_network_is_out_of_its_reach(stack: Stack) -> None:
    published = {part for part in stack.containers() if stack.container(part).attrs["HostConfig"]["PortBindings"]}
    assert published == {"lb"}
    code, _ = execute(stack.container("lb"), "curl", "-s", "--max-time", "2", "telnet://postgres-primary:5432")
    assert code == 6, "its name does not resolve there"
    for part, port in (("primary", 5432), ("replica-1", 5432), ("cache", 6379)):
        for network in stack.container(part).attrs["NetworkSettings"]["Networks"].values():
            address = network["IPAddress"]
            assert _connects(stack, "core-1", address, port), f"{part} does not listen on {address}"
            # Docker Engine removes the rule that isolates all networks and inserts it again whenever one is created
            # (EnsureJumpRule in libnetwork), so a connection may get through at that moment.
            reached = all(_connects(stack, "lb", address, port) for _ in range(3))
            assert not reached, f"the load balancer reaches {part} by its address"


@pytest.mark.simulator
def test_databases_and_cache_refuse_a_container_of_their_network_without_a_password(stack: Stack) -> None:
    with Containers(stack.docker) as containers:
        data = stack.docker.networks.get(f"{stack.prefix}-data")
        guest = containers.start(POSTGRES, entrypoint=["sleep", "infinity"], network=data)
        for server in ("postgres-primary", "postgres-replica-1"):
            for user in ("postgres", "dhis", "monitor", "replicator"):
                code, output = execute(guest, "psql", "-w", "-h", server, "-U", user, "-c", "SELECT 1", "dhis")
                assert code != 0 and ("no password supplied" in output or "no pg_hba.conf entry" in output), output
        keys = "exec 3<>/dev/tcp/cache/6379; printf 'KEYS *\\r\\n' >&3; head -n 1 <&3"
        assert "NOAUTH" in execute(guest, "bash", "-c", keys)[1], "sessions are as good as passwords"


def _connects(stack: Stack, part: str, address: str, port: int) -> bool:
    """Return whether a part gets a connection to an address within a second."""
    options = ["-s", "-o", "/dev/null", "-w", "%{time_connect}", "--max-time", "1"]
    _, output = execute(stack.container(part), "curl", *options, f"telnet://{address}:{port}")
    return float(output) > 0


def test_rows_arrive_on_the_replica_which_is_read_only(stack: Stack) -> None:
    stack.sql("CREATE TABLE e2e_rows (n int); INSERT INTO e2e_rows VALUES (1)")
    stack.wait_sql("SELECT n FROM e2e_rows", "1", "replica-1")
    code, output = stack.attempt_sql("INSERT INTO e2e_rows VALUES (2)", "replica-1")
    assert code != 0, "rows written to a replica are lost"
    assert "read-only" in output


@pytest.mark.simulator
def test_reads_reach_the_replica(stack: Stack, session: httpx.Cookies) -> None:
    assert readers(stack, "core-1", session) == {"replica-1"}


@pytest.mark.simulator
def test_scaling_under_load_fails_no_request_and_replaces_no_container(stack: Stack, session: httpx.Cookies) -> None:
    before = stack.containers()
    with Load(f"http://127.0.0.1:{stack.port}", session) as load:
        until(lambda: load.answered() > 50, "some requests before")
        stack.set(cores=3)
        stack.up()
        scaled = stack.containers()
        served = load.answered()
        until(lambda: load.answered() > served + 200, "some requests on three cores")
        until(lambda: nodes(stack, session) == {"core-1", "core-2", "core-3"}, "all three to respond")
        stack.set(cores=1)
        stack.up()
        served = load.answered()
        until(lambda: load.answered() > served + 50, "some requests after")
    assert not load.failures, f"failed requests: {dict(load.failures)}: {load.first_failure}"
    assert scaled.keys() - before.keys() == {"core-2", "core-3"}
    assert {part: scaled[part] for part in before} == before, "the others were replaced"
    assert stack.containers() == before


def test_a_session_is_valid_on_every_core(stack: Stack, session: httpx.Cookies) -> None:
    stack.set(cores=2)
    stack.up()
    for core in ("core-1", "core-2"):
        info = json_at_core(stack, core, session, "/api/system/info")
        assert info["nodeId"] == core, "each core has its own name and knows the session"


def test_a_file_uploaded_at_one_core_can_be_downloaded_at_the_other(stack: Stack, session: httpx.Cookies) -> None:
    upload = at_core(stack, "core-1", session, "/api/fileResources", "-F", "file=@/etc/os-release").json
    resource = upload["response"]["fileResource"]
    assert resource["storageStatus"] == "PENDING", "DHIS2 stores it after its answer"
    path = f"/api/fileResources/{resource['id']}"
    until(lambda: json_at_core(stack, "core-2", session, path)["storageStatus"] == "STORED", "the upload to be stored")
    assert at_core(stack, "core-2", session, f"{path}/data").text == stack.inside("core-1", "cat", "/etc/os-release")


@pytest.mark.simulator
def test_new_options_replace_the_cores_one_after_the_other(stack: Stack, session: httpx.Cookies) -> None:
    before = stack.containers()
    with Load(f"http://127.0.0.1:{stack.port}", session, choose=reads) as load:
        until(lambda: load.answered() > 20, "some requests before")
        stack.set(javaOptions="-Dround=one")
        stack.up()
    assert not load.failures, f"failed requests: {dict(load.failures)}: {load.first_failure}"
    after = stack.containers()
    assert {part for part in before if after[part] != before[part]} == {"core-1", "core-2"}


@pytest.mark.simulator
def test_a_system_setting_changed_through_the_load_balancer_takes_effect_at_every_core(
    stack: Stack, session: httpx.Cookies
) -> None:
    path = "/api/systemSettings/applicationTitle"

    def titles() -> set[str]:
        return {at_core(stack, core, session, path).text for core in ("core-1", "core-2")}

    with stack.client(cookies=session, headers={"Content-Type": "text/plain"}) as client:
        for title in ("Health data", "Data of health", "Health data"):
            titles()  # each core has the old one in its cache
            assert client.post(path, content=title).status_code == 200
            until(lambda title=title: titles() == {title}, "both cores to have the new title")  # type: ignore[misc]
        assert client.delete(path).status_code == 204
        until(lambda: titles() == {"DHIS 2"}, "both cores to have the default")


@pytest.mark.simulator
def test_a_rolling_restart_fails_no_request_and_makes_a_system_setting_effective_at_every_core(
    stack: Stack, session: httpx.Cookies
) -> None:
    def titles() -> list[str]:
        path = "/api/systemSettings/applicationTitle"
        return [at_core(stack, core, session, path).text for core in ("core-1", "core-2")]

    before, starts = stack.containers(), [started(stack, core) for core in ("core-1", "core-2")]
    old = titles()[1]
    change = ("--request", "POST", "--header", "Content-Type: text/plain", "--data", "Health data")
    at_core(stack, "core-1", session, "/api/systemSettings/applicationTitle", *change)
    assert titles() == ["Health data", old], "DHIS2 drops the settings it remembers at the core of the change only"
    with Load(f"http://127.0.0.1:{stack.port}", session) as load:
        until(lambda: load.answered() > 20, "some requests before")
        restarted = stack.command("restart")
    assert restarted.code == 0, restarted.text
    assert not load.failures, f"failed requests: {dict(load.failures)}: {load.first_failure}"
    assert titles() == ["Health data", "Health data"]
    assert all(started(stack, core) > at for core, at in zip(("core-1", "core-2"), starts, strict=True))
    assert stack.containers() == before, "they were restarted, not replaced"
    assert stack.changes() == {}


@pytest.mark.simulator
def test_replicas_are_added_and_removed(stack: Stack, session: httpx.Cookies) -> None:
    primary = stack.containers()["primary"]
    stack.sql("CREATE TABLE e2e_replicas (n int, at timestamptz DEFAULT clock_timestamp())")
    for number in (2, 0, 1):
        stack.set(replicas=number)
        stack.up()
        replicas = {part for part in stack.containers() if part.startswith("replica-")}
        assert replicas == {f"replica-{index}" for index in range(1, number + 1)}
        with stack.client(auth=ADMIN) as client:
            assert client.get("/api/system/info").json()["readReplicaCount"] == number
        assert readers(stack, "core-1", session) == (replicas or {"primary"}), "every replica is read from"
        if not replicas:
            with stack.client(auth=ADMIN) as client:
                build_analytics(client)
            assert stack.sql(PERSISTENCE) == "u", "without a replica DHIS2 builds unlogged tables"
        stack.sql(f"INSERT INTO e2e_replicas VALUES ({number})")  # noqa: S608 - a number of our own
        for replica in replicas:
            stack.wait_sql("SELECT n FROM e2e_replicas ORDER BY at DESC LIMIT 1", str(number), replica)
    assert stack.containers()["primary"] == primary, "the primary was not replaced"
    assert stack.sql("SELECT n FROM e2e_rows", "replica-1") == "1"
    assert stack.sql(PERSISTENCE) == "p"
    element = stack.sql("SELECT dx FROM analytics LIMIT 1", "replica-1")
    rows = json_at_core(stack, "core-1", session, f"/api/analytics?dimension=dx:{element}")["rows"]
    assert rows[0][0] == element, "a replica can read them"


@pytest.mark.parametrize(
    ("dump", "cause"),
    [
        ("missing.sql.gz", "404"),
        ("page.sql.gz", "web page"),
        ("truncated.sql.gz", "truncated"),
        ("zip.sql.gz", "zip archive"),
    ],
)
def test_a_bad_dump_changes_nothing(stack: Stack, dumps: str, dump: str, cause: str) -> None:
    before = {part: container for part, container in stack.containers().items() if part != "dump"}
    stack.set(dumpUrl=f"{dumps}/{dump}")
    text = stack.failing_up()
    assert cause in text, f"the cause is missing:\n{text}"
    assert f"{dumps}/{dump}" in text, "the dump is named"
    assert {part: container for part, container in stack.containers().items() if part != "dump"} == before
    with stack.client() as client:
        assert client.get("/api/ping").status_code == 200, "DHIS2 still answers"
    assert stack.sql("SELECT n FROM e2e_rows") == "1"


def test_another_dump_is_not_restored_over_data_that_is_kept(stack: Stack, dumps: str) -> None:
    stack.set(keepData="true", backupSchedule="off", dumpUrl=f"{dumps}/small.sql.gz")
    text = stack.up()
    assert stack.sql("SELECT n FROM e2e_rows") == "1"
    assert "keepData" in text, "up reports that the new dump is not restored"


def test_destroy_keeps_the_volumes_and_the_next_up_uses_them(stack: Stack) -> None:
    stack.destroy()
    kept = ("primary-data", "replica-1-data", "files", "cache-data")
    assert sorted(stack.leftovers()) == sorted(f"{stack.prefix}-{volume}" for volume in kept)
    stack.up()
    assert stack.sql("SELECT n FROM e2e_rows") == "1"
    stack.sql("INSERT INTO e2e_rows VALUES (2)")
    stack.wait_sql("SELECT count(*) FROM e2e_rows", "2", "replica-1")
    assert "cloning" not in stack.log("replica-1"), "its volume was there"
    session = log_in(stack)
    upload = stack.sql("SELECT uid FROM fileresource ORDER BY created DESC LIMIT 1")
    download = at_core(stack, "core-1", session, f"/api/fileResources/{upload}/data").text
    assert download == stack.inside("core-1", "cat", "/etc/os-release"), "uploads are kept too"
    stack.set(keepData="false")
    stack.up()
    assert stack.sql("SELECT count(*) FROM e2e_rows") == "2", "toggling keepData never touches data"


def test_another_dump_replaces_the_database_and_the_preview_shows_it(stack: Stack, dumps: str) -> None:
    stack.set(dumpUrl=f"{dumps}/sample.sql.gz")
    assert stack.changes()["primary"].endswith("replace"), "a preview shows that the data is replaced"
    old = {stack.containers()[core] for core in ("core-1", "core-2")}
    with ContainerEvents(stack, "core") as events:
        stack.up()
    events.assert_replaced(old, 2)
    assert stack.attempt_sql("SELECT n FROM e2e_rows")[0] != 0, "this is the new dump's database"
    until(
        lambda: (
            stack.attempt_sql("SELECT n FROM e2e_rows", "replica-1")[0] != 0
            and stack.sql("SELECT pg_is_in_recovery()", "replica-1") == "t"
        ),
        "the replica to stream from the new primary",
    )


def test_destroy_leaves_nothing(stack: Stack) -> None:
    stack.destroy()
    assert stack.leftovers() == []
