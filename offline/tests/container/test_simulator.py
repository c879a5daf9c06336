"""The simulator among our own database, cache and replica images: it must stand and fall as DHIS2 does."""

import json
from pathlib import Path

import pytest
from docker.models.containers import Container

from offline.dump.__main__ import main as generate_dump
from tests.support.app_hub import app_zip
from tests.support.archive import packed
from tests.support.commands import shell, shell_output, sql, try_sql
from tests.support.containers import Containers
from tests.support.http import Answer
from tests.support.project import POSTGRES, ROOT, VALKEY
from tests.support.readers import server_read_by
from tests.support.simulators import PRIMARY, REPLICA, Simulator, start_simulator
from tests.support.waiting import until

pytestmark = pytest.mark.container

REAL = ROOT.parent / "shared" / "data" / "dhis2-2.42.5-empty.sql.gz"
LOGIN = {"username": "admin", "password": "district"}
BASIC = ("-u", "admin:district")
REDIS = (
    "redis.enabled = on",
    "redis.host = cache",
    "redis.password = ${NOBODY:-kept-secret}",
    "redis.cache.invalidation.enabled = on",
)
NO_SERVER = (
    "filestore.provider = s3",
    "filestore.container = dhis2-files",
    "filestore.endpoint = http://localhost:1",
    "filestore.identity = key",
    "filestore.secret = kept-secret",
)
REPLICA_READS = "read1.connection.url = jdbc:postgresql://postgres-replica-1/{}"
OWN = (
    "SELECT format('ALTER TABLE %s OWNER TO dhis;', oid::regclass) FROM pg_class c WHERE relkind IN ('r', 'S', 'v')"
    " AND relnamespace = 'public'::regnamespace"
    " AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype IN ('a', 'e', 'i'))"
)


@pytest.fixture(scope="module")
def primary(containers: Containers) -> Container:
    """A database server with the role dhis."""
    container = containers.start(POSTGRES, "sh", "-c", PRIMARY, alias="postgres-primary")
    shell_output(
        container, "until psql -h 127.0.0.1 -qc 'SELECT 1' >/dev/null 2>&1; do sleep 0.2; done; createuser dhis"
    )
    return container


def database(primary: Container, name: str, dump: Path | None = None) -> None:
    """Make a database with DHIS2's extensions, load a dump as superuser, give everything to dhis."""
    wanted = "; ".join(f"CREATE EXTENSION {extension}" for extension in ("postgis", "pg_trgm", "btree_gin"))
    shell_output(primary, f"createdb -O dhis {name} && psql -qd {name} -c '{wanted}'")
    if dump:
        primary.put_archive("/tmp", packed({"dump": dump.read_bytes(), "own.sql": OWN}))  # noqa: S108
        shell_output(primary, f"zcat </tmp/dump | psql -1qv ON_ERROR_STOP=1 -d {name} >/dev/null")
        shell_output(primary, f"psql -qAtd {name} -f /tmp/own.sql | psql -qd {name}")


@pytest.fixture(scope="module")
def replica(containers: Containers, primary: Container, tmp_path_factory: pytest.TempPathFactory) -> Container:
    """A standby of the primary, cloned after the dumps were loaded."""
    dump = tmp_path_factory.mktemp("dump") / "sample.sql.gz"
    generate_dump(["--rows", "20000", "--scale", "0", str(dump)])
    database(primary, "sample", dump)
    database(primary, "empty")
    database(primary, "aging")
    database(primary, "line-41")
    if REAL.exists():
        database(primary, "real", REAL)
    return containers.start(POSTGRES, "sh", "-c", REPLICA, alias="postgres-replica-1")


@pytest.fixture(scope="module")
def cache(containers: Containers) -> Container:
    """Start the cache, whose sessions survive a kill."""
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    return containers.start(VALKEY, "valkey-server", "--requirepass", "kept-secret", *durable, alias="cache")


@pytest.fixture(scope="module")
def cores(containers: Containers, replica: Container, cache: Container) -> dict[str, Simulator]:
    """All simulators of this file, started at once: booting is most of what a test would wait for."""
    shell_output(replica, "until psql -h 127.0.0.1 -qc 'SELECT 1' >/dev/null 2>&1; do sleep 0.2; done")
    reads = (*REDIS, REPLICA_READS.format("sample"), "analytics.table.unlogged = off")
    started = {
        "core-1": start_simulator(containers, "2.43.1", "core-1", "sample", *reads, "node.primary_leader = on"),
        "core-2": start_simulator(containers, "2.43.1", "core-2", "sample", *reads),
        "empty": start_simulator(containers, "2.43.1", "empty", "empty", "simulator.startup.seconds = 15"),
        "old-1": start_simulator(containers, "2.41.4", "old-1", "line-41", *REDIS),
        "old-2": start_simulator(
            containers, "2.41.4", "old-2", "line-41", *REDIS, "apphub.api.url = http://localhost:1"
        ),
        "dead": start_simulator(containers, "2.43.1", "dead", "nowhere"),
        "bucketless": start_simulator(containers, "2.43.1", "bucketless", "nowhere", *NO_SERVER),
        "aging": start_simulator(
            containers, "2.42.5", "aging", "aging", REPLICA_READS.format("aging"), java="-Dc3p0.maxConnectionAge=3"
        ),
    }
    if REAL.exists():
        started["real"] = start_simulator(containers, "2.42.5", "real", "real", REPLICA_READS.format("real"))
        started["older"] = start_simulator(containers, "2.41.4", "older", "real")
    return started


@pytest.fixture(scope="module")
def session(cores: dict[str, Simulator]) -> tuple[str, str]:
    """Curl's options for a session that was begun on core-1."""
    answer = cores["core-1"].booted().send("/api/auth/login", LOGIN)
    assert answer.json["loginStatus"] == "SUCCESS", "the sample dump's password is known"
    cookie, _, attributes = answer.headers["set-cookie"].partition("; ")
    assert attributes == "Path=/; HttpOnly; SameSite=Lax", "the cookie is as DHIS2's"
    cores["core-2"].booted()
    return "-b", cookie


def real(cores: dict[str, Simulator], name: str) -> Simulator:
    """Return a simulator on the dump of a real DHIS2."""
    if name not in cores:
        pytest.skip(f"{REAL.name} is not beside this checkout")
    return cores[name]


def test_an_empty_database_has_its_tables_before_its_admin(cores: dict[str, Simulator], primary: Container) -> None:
    change = "UPDATE userinfo SET password = 'changed' WHERE username = 'admin' RETURNING 1"
    until(lambda: try_sql(primary, change, "empty")[0] == 0, "the migrations", container=cores["empty"].container)
    assert try_sql(primary, change, "empty") == (0, ""), "as in DHIS2 there is no account yet to change"
    info = cores["empty"].booted().ask("/api/system/info", *BASIC).json
    assert info["version"] == "2.43.1", "the image says which release it plays"
    assert (info["readReplicaCount"], info["redisEnabled"]) == (0, False)


def test_a_database_that_is_not_there_leaves_tomcat_answering_404(cores: dict[str, Simulator]) -> None:
    log = cores["dead"].failed()
    assert 'database "nowhere" does not exist' in log, "the reason stands in the log"
    cores["dead"].container.reload()
    assert cores["dead"].container.status == "running", "nothing but a health check can tell"


def test_a_login_on_one_node_is_one_on_the_other(cores: dict[str, Simulator], session: tuple[str, str]) -> None:
    assert cores["core-2"].ask("/api/me", *session).json["username"] == "admin", "sessions live in the cache"
    assert cores["core-2"].ask("/api/me").status == 302, "without a cookie a browser is sent to the login page"
    assert cores["core-2"].ask("/api/me", "-H", "Accept: application/json").status == 401, "a program is refused"


def test_reads_go_to_the_replica_and_writes_arrive_there(
    cores: dict[str, Simulator], session: tuple[str, str], primary: Container, replica: Container
) -> None:
    def read() -> Answer:
        return cores["core-1"].ask("/api/dataItems?pageSize=1", *session)

    reader = server_read_by(cores["core-1"].container, read, {"primary": primary, "replica": replica}, "sample")
    assert reader == "replica", "with readN the primary is no part of the rotation"
    answer = cores["core-1"].ask("/api/dataItems?pageSize=1", *session)
    assert "postgres" not in str(answer), "as in DHIS2 nothing says which server answered"
    assert answer.headers["x-dhis2-simulator"] == "2.43.1", "it says that it is not DHIS2"
    assert cores["core-1"].send("/api/userDataStore/test/key", {"a": 1}, *session).status == 201
    assert cores["core-2"].ask("/api/userDataStore/test/key", *session).json == {"a": 1}, "one database for all"


def test_c3p0_ends_a_connection_at_the_age_its_system_property_says(
    cores: dict[str, Simulator], replica: Container
) -> None:
    def connections() -> set[str]:
        return set(
            shell_output(replica, "psql -Atc \"SELECT pid FROM pg_stat_activity WHERE datname = 'aging'\"").split()
        )

    assert cores["aging"].booted().ask("/api/dataItems?pageSize=1", *BASIC).status == 200
    used = connections()
    assert used, "a connection that has answered waits in the pool for the next read"
    until(lambda: not used & connections(), "the pool to close the connection")
    assert cores["aging"].ask("/api/dataItems?pageSize=1", *BASIC).status == 200, "the next read gets a new one"


def test_a_change_on_one_node_is_seen_on_the_other(cores: dict[str, Simulator], session: tuple[str, str]) -> None:
    listed = cores["core-2"].ask("/api/organisationUnits?pageSize=1", *session).text
    path = "/api/organisationUnits/" + listed.split('"id":"')[1][:11]
    before = cores["core-2"].ask(path, *session).json["name"]
    assert cores["core-1"].send(path, {"name": f"{before} II"}, "-X", "PUT", *session).status == 200
    until(lambda: cores["core-2"].ask(path, *session).json["name"] == f"{before} II", "core-2 to evict its cached copy")


def test_the_leader_is_in_the_cache_under_dhis2_s_keys(
    cores: dict[str, Simulator], session: tuple[str, str], cache: Container
) -> None:
    def get(key: str) -> str:
        return shell_output(cache, f"REDISCLI_AUTH=kept-secret valkey-cli --no-auth-warning GET {key}")

    leader = cores["core-2"].ask("/api/cluster/leader", *session).json
    assert get("dhis2:leader") == leader["leaderNodeUuid"]
    assert get(f"dhis2:leader:{leader['leaderNodeUuid']}") == leader["leaderNodeId"] == "core-1"


def test_the_leader_runs_analytics_for_whoever_asks(
    cores: dict[str, Simulator], session: tuple[str, str], primary: Container, replica: Container
) -> None:
    def successes() -> list[str]:
        infos = [cores[core].ask("/api/system/info", *session).json for core in ("core-1", "core-2")]
        return [info["lastAnalyticsTableSuccess"] for info in infos]

    before = successes()
    asked = cores["core-2"].ask("/api/resourceTables/analytics", "-X", "POST", *session)
    job = asked.text.split('"id":"')[1][:11]
    done = f"/api/jobConfigurations/{job}"
    until(
        lambda: cores["core-2"].ask(done, *session).json["lastExecutedStatus"] == "COMPLETED",
        "the leader to complete the job",
    )
    assert f"Job completed: inMemoryAnalyticsJob_{job}" in cores["core-1"].log(), "core-1 is the primary leader"
    messages = json.loads(cores["core-2"].ask(f"/api/system/tasks/ANALYTICS_TABLE/{job}", *session).text)
    assert [message["completed"] for message in messages] == [True, False], "the newest first, at every core"
    element = shell_output(primary, "psql -Atd sample -c 'SELECT dx FROM analytics LIMIT 1'")

    until(
        lambda: shell(replica, "psql -Atd sample -c 'SELECT count(*) > 0 FROM analytics'") == (0, "t"),
        "logged tables to reach the replica",
    )
    rows = cores["core-2"].ask(f"/api/analytics?dimension=dx:{element}", *session).json["rows"]
    assert rows[0][0] == element
    assert successes()[0] > before[0], "the leader has stored when it was done"
    assert successes()[1] == before[1], "its peers remember the setting from before"


def test_an_upload_is_pending_until_it_is_stored(cores: dict[str, Simulator], session: tuple[str, str]) -> None:
    answer = cores["core-1"].ask("/api/fileResources", "-F", "file=@/etc/os-release", *session)
    resource = answer.json["response"]["fileResource"]
    assert (answer.status, resource["storageStatus"]) == (202, "PENDING")
    path = f"/api/fileResources/{resource['id']}"
    until(lambda: cores["core-1"].ask(path, *session).json["storageStatus"] == "STORED", "the upload to be stored")
    assert "Debian" in cores["core-1"].ask(f"{path}/data", *session).text, "it is in the file store"


def test_a_core_does_not_start_without_its_bucket(cores: dict[str, Simulator]) -> None:
    log = cores["bucketless"].failed()
    assert "provider: 's3', container: 'dhis2-files' could not be configured" in log
    assert "kept-secret" not in log and "FATAL" not in log, "nor does it ask the database"


def test_a_setting_changed_at_one_node_is_stale_at_the_others_from_2_42_on(
    cores: dict[str, Simulator], session: tuple[str, str]
) -> None:
    def titles() -> list[str]:
        return [cores[core].ask("/api/systemSettings/applicationTitle", *session).text for core in ("core-1", "core-2")]

    before, old = titles()
    assert before == old
    change = ("-X", "POST", "-H", "Content-Type: text/plain", "-d", "Health data")
    assert cores["core-1"].ask("/api/systemSettings/applicationTitle", *change, *session).status == 200
    assert titles() == ["Health data", old], "each node remembers all settings until it changes one itself"
    assert cores["core-2"].ask("/api/systemSettings/keyEmailPort", "-X", "DELETE", *session).status == 204
    assert titles() == ["Health data", old], "to delete what is not there changes nothing"
    assert cores["core-2"].send("/api/systemSettings", {"keyLastSuccessfulMonitoring": ""}, *session).status == 200
    assert titles() == ["Health data", "Health data"]


def test_settings_are_shared_through_redis_before_2_42(cores: dict[str, Simulator]) -> None:
    def titles() -> list[str]:
        return [cores[core].ask("/api/systemSettings/applicationTitle", *BASIC).text for core in ("old-1", "old-2")]

    for core in ("old-1", "old-2"):
        cores[core].booted()
    assert titles() == ["DHIS 2", "DHIS 2"]
    assert cores["old-1"].send("/api/systemSettings", {"applicationTitle": "Health data"}, *BASIC).status == 200
    assert titles() == ["Health data", "Health data"]


def test_what_needs_a_login_or_does_not_exist(cores: dict[str, Simulator], session: tuple[str, str]) -> None:
    core = cores["core-1"]
    assert core.ask("/api/system/ping").status == 302, "unlike /api/ping"
    assert core.ask("/api/sessions", *session).status == 500, "DHIS2 cannot list sessions that are in Redis"
    assert cores["empty"].booted().ask("/api/sessions", *BASIC).status == 200
    assert core.ask("/api/auth/logout", "-X", "POST", *session).status == 404


def test_metadata_is_imported_whole_or_not_at_all(cores: dict[str, Simulator], session: tuple[str, str]) -> None:
    unit = {"id": "Unit0000001", "name": "Unit", "shortName": "Unit", "openingDate": "2020-01-01"}
    faulty = {"organisationUnits": [unit], "dataElements": [{"id": "Elem0000001", "shortName": "E"}]}
    refused = cores["core-1"].send("/api/metadata", faulty, *session)
    assert (refused.status, refused.json["response"]["stats"]["ignored"]) == (409, 2)
    assert cores["core-2"].ask("/api/organisationUnits/Unit0000001", *session).status == 404
    report = cores["core-1"].send("/api/metadata", {"organisationUnits": [unit]}, *session).json
    assert (report["status"], report["response"]["stats"]["created"]) == ("OK", 1)
    again = cores["core-1"].send("/api/metadata", {"organisationUnits": [unit]}, *session).json
    assert again["response"]["typeReports"][0]["stats"]["updated"] == 1
    assert cores["core-2"].ask("/api/organisationUnits/Unit0000001", *session).json["name"] == "Unit"


def test_a_changed_password_ends_the_sessions_of_its_user_at_every_node(
    cores: dict[str, Simulator], primary: Container
) -> None:
    for core in ("old-1", "old-2"):
        cores[core].booted()
    sql(
        primary,
        "INSERT INTO userinfo (userinfoid, uid, created, lastupdated, surname, firstname, username, password)"
        " SELECT nextval('hibernate_sequence'), 'Clerk000001', now(), now(), 'Clerk', 'One', 'clerk', password"
        " FROM userinfo WHERE username = 'admin'",
        "line-41",
    )
    login = cores["old-1"].send("/api/auth/login", {"username": "clerk", "password": "district"})
    cookie = login.headers["set-cookie"].partition("; ")[0]
    assert cores["old-2"].ask("/api/me", "-b", cookie).status == 200
    change = {"oldPassword": "district", "newPassword": "District-2"}
    assert cores["old-1"].send("/api/me/changePassword", change, "-X", "PUT", "-b", cookie).status == 202
    assert cores["old-2"].ask("/api/me", "-b", cookie).status == 302
    assert cores["old-2"].ask("/api/me", "-u", "clerk:District-2").status == 200
    assert cores["old-2"].ask("/api/me", "-u", "clerk:district").status == 401


def test_a_dump_of_dhis2_boots_and_its_analytics_job_fails_on_2_42(cores: dict[str, Simulator]) -> None:
    core = real(cores, "real").booted()
    job = core.ask("/api/resourceTables/analytics", "-X", "POST", *BASIC).text.split('"id":"')[1][:11]

    def status() -> object:
        return core.ask(f"/api/jobConfigurations/{job}", *BASIC).json["lastExecutedStatus"]

    until(lambda: status() == "FAILED", "the job to fail, because 2.42 creates the tables through the replica")
    assert "25006" in core.ask(f"/api/jobConfigurations/{job}", *BASIC).text, "the reason is kept"
    newest = json.loads(core.ask(f"/api/system/tasks/ANALYTICS_TABLE/{job}", *BASIC).text)[0]
    assert newest["level"] == "ERROR" and "25006" in newest["message"]


def test_a_database_of_a_later_release_is_refused(cores: dict[str, Simulator]) -> None:
    log = real(cores, "older").failed()
    assert "Detected applied migration not resolved locally: 2.42.1" in log, "migrations are one way"


def test_a_dead_cache_hangs_who_is_logged_in_but_not_ping(
    cores: dict[str, Simulator], session: tuple[str, str], cache: Container
) -> None:
    core = cores["core-1"]
    cache.kill()
    try:
        assert core.ask("/api/ping", *session).status == 200, "ping does not see it"
        assert core.ask("/api/me", *session, seconds=2).status == 0, "no answer until Lettuce gives up"
    finally:
        cache.start()
    until(lambda: core.ask("/api/me", *session).status == 200, "the session to be valid again")


@pytest.mark.parametrize(
    ("core", "peer", "status", "reason"),
    [("core-1", "core-2", 201, "Manifest file missing"), ("old-1", "old-2", 204, "Zip file could not be read")],
)
def test_apps_are_installed_as_by_the_release_and_listed_by_all_nodes(
    cores: dict[str, Simulator], core: str, peer: str, status: int, reason: str
) -> None:
    simulator, other, upload = cores[core].booted(), cores[peer].booted(), ("-F", "file=@/tmp/app-1.zip")
    files = {"app-1.zip": app_zip("My App", "1"), "text.zip": b"text"}
    simulator.container.put_archive("/tmp", packed(files))  # noqa: S108
    installed = simulator.ask("/api/apps", *BASIC, *upload)
    assert installed.status == status and bool(installed.text) == (status == 201)
    assert [app["key"] for app in json.loads(other.ask("/api/apps", *BASIC).text)] == ["My-App"]
    assert simulator.ask("/api/apps/My-App/index.html", *BASIC).text == "1"
    refused = simulator.ask("/api/apps", *BASIC, "-F", "file=@/tmp/text.zip")
    assert refused.status == 409 and reason in refused.json["message"]
    assert simulator.ask("/api/apps", *BASIC, "-X", "PUT").status == 204
    assert len(json.loads(simulator.ask("/api/apps", *BASIC).text)) == 1


def test_an_app_hub_that_does_not_answer_is_an_error_of_the_request(cores: dict[str, Simulator]) -> None:
    answer = cores["old-2"].booted().ask("/api/appHub/v1/apps/x", *BASIC)
    assert answer.status == 503 and "I/O error on GET request" in answer.json["message"]
    assert cores["old-2"].ask("/api/appHub/latest/apps", *BASIC).status == 409
