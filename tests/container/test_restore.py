"""The restore of a primary: every format of a dump gives the same database, and nothing half restored is served."""

import gzip
import json
import time
from pathlib import Path

import pytest
from docker.models.containers import Container

from tests.container.databases import (
    ADMIN_PASSWORD,
    APP_PASSWORD,
    KEY,
    REPLICATION_PASSWORD,
    Databases,
    dump,
    health,
    until_healthy,
)
from tests.support.archive import packed
from tests.support.commands import execute, logs, shell, sql, stdout_of
from tests.support.containers import Containers
from tests.support.waiting import until, until_exited, until_logged

pytestmark = pytest.mark.container

TRICKY = Path(__file__).with_name("data") / "tricky.sql"
SHARED = Path(__file__).parents[3] / "shared/data"
FORMS = {
    "plain": "",
    "clean": "--clean",
    "inserts": "--inserts",
    "database": "--create --clean --if-exists --column-inserts",
    "partition root": "--load-via-partition-root",
    "custom": "--format=custom",
    "tar": "--format=tar",
    "directory": "--format=directory --file=/tmp/directory",
}
PACK = " && tar -C /tmp -cf - directory"
# Tables, views and sequences of another role that no extension has created.
FOREIGN = """SELECT count(*) FROM pg_class WHERE relowner <> 'dhis'::regrole AND relkind = ANY ('{r,p,v,m,S,f}')
    AND relnamespace = 'public'::regnamespace AND oid NOT IN (SELECT objid FROM pg_depend WHERE deptype = 'e')"""


@pytest.fixture(scope="module")
def good(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    content = dump(tmp_path_factory.mktemp("good"))
    databases.add_dump(content, KEY)
    return content


@pytest.fixture(scope="module")
def blank(containers: Containers, databases: Databases) -> Container:
    """A blank database with an admin password for a user that does not exist yet."""
    container = databases.primary(containers.volume("blank"), admin="setting")
    until_healthy(container, "primary")
    return container


@pytest.fixture(scope="module")
def sample(containers: Containers, databases: Databases, good: bytes) -> Container:
    assert good
    container = databases.primary(containers.volume("sample"), KEY, admin="setting")
    until_healthy(container, "primary")
    return container


def schema(container: Container, database: str) -> list[str]:
    """Return what pg_dump writes of a database without owners: its objects and its rows."""
    code, text = shell(container, f"pg_dump -U postgres --no-owner --no-acl {database}")
    assert code == 0, text
    return [line for line in text.splitlines() if line and not line.startswith(("\\restrict", "\\unrestrict", "--"))]


@pytest.fixture(scope="module")
def tricky(containers: Containers, databases: Databases, blank: Container) -> dict[str, Container]:
    """The same database restored from each format of its dump, all at the same time."""
    blank.put_archive("/var/lib/postgresql", packed({"tricky.sql": TRICKY.read_text()}))
    extensions = "".join(f"CREATE EXTENSION {name};" for name in ("postgis", "pg_trgm", "btree_gin", "btree_gist"))
    psql = "psql -X -q -v ON_ERROR_STOP=1 -U postgres -d tricky"
    code, output = shell(
        blank,
        f"createdb -U postgres -T template0 tricky && {psql} -c '{extensions}'"
        f" && {psql} -f /var/lib/postgresql/tricky.sql",
    )
    assert code == 0, output
    restored = {}
    for number, (form, options) in enumerate(FORMS.items()):
        content = stdout_of(
            blank, "sh", "-c", f"pg_dump -U postgres {options} tricky" + (PACK if form == "directory" else "")
        )
        key = f"{number}" * 64
        databases.add_dump(gzip.compress(content) if number % 2 else content, key)
        restored[form] = databases.primary(containers.volume(f"form-{number}"), key)
    return restored


@pytest.mark.parametrize("form", FORMS)
def test_a_dump_of_any_format_restores_the_database_it_was_made_of(
    tricky: dict[str, Container], blank: Container, form: str
) -> None:
    until_healthy(tricky[form], "primary")
    assert schema(tricky[form], "dhis") == schema(blank, "tricky"), "nothing is lost, reordered or added"
    assert sql(tricky[form], FOREIGN) == "0", "all of it belongs to the role DHIS2 connects as"
    owners = "SELECT DISTINCT rolname FROM pg_proc JOIN pg_roles r ON r.oid = proowner WHERE proname = 'semicolons'"
    assert sql(tricky[form], owners) == "dhis", "functions too"


def test_dhis2_s_role_owns_everything_and_is_no_superuser(sample: Container) -> None:
    assert sql(sample, FOREIGN) == "0"
    assert sql(sample, "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = 'dhis'") == "f"
    owners = "SELECT pg_get_userbyid(datdba), pg_get_userbyid(nspowner) FROM pg_database, pg_namespace"
    assert sql(sample, f"{owners} WHERE datname = 'dhis' AND nspname = 'public'") == "dhis|dhis"
    assert sql(sample, "SELECT count(*) FROM pg_roles WHERE rolname = 'loader'") == "0", (
        "the role that restored it is dropped"
    )
    assert sql(sample, "SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == "0", "every reference holds"
    assert sql(sample, "SELECT count(*) FROM datavalue") == "2000"
    statistics = "SELECT reltuples FROM pg_class WHERE relname = 'datavalue'"
    assert sql(sample, statistics) == "2000", "the first queries have statistics"


def test_the_admin_password_is_set_and_no_extension_left_for_it(sample: Container) -> None:
    stored = sql(sample, "SELECT password FROM userinfo WHERE username = 'admin'")
    assert stored.startswith("$2a$10$"), "the form DHIS2 writes"
    check = f"SELECT crypt($x${ADMIN_PASSWORD}$x$, '{stored}') = '{stored}'"
    assert sql(sample, check, "postgres") == "t", "it is this password"
    assert sql(sample, "SELECT count(*) FROM pg_extension WHERE extname = 'pgcrypto'") == "0"


def test_a_primary_without_the_user_admin_is_healthy(blank: Container) -> None:
    assert health(blank, "primary") == (0, ""), "DHIS2 creates this user of a blank database later"


def test_a_dump_cache_without_copies_is_logged_as_no_failure(blank: Container) -> None:
    assert "dump-cache.sh, line" not in logs(blank)


def test_passwords_are_in_neither_logs_nor_inspect_nor_arguments(sample: Container) -> None:
    code, arguments = shell(sample, "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '")
    assert code == 0
    shown = arguments + logs(sample) + json.dumps(sample.attrs)
    for secret in (APP_PASSWORD, REPLICATION_PASSWORD, ADMIN_PASSWORD):
        assert secret not in shown and secret[:6] not in shown


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("user=dhis dbname=dhis password=RIGHT", True),
        ("user=dhis dbname=dhis password=wrong", False),
        ("user=dhis dbname=postgres password=RIGHT", False),
        ("user=postgres dbname=dhis", False),
        ("user=monitor dbname=dhis", False),
        ("user=replicator dbname=dhis", False),
    ],
)
def test_only_dhis2_s_role_reaches_only_its_database_from_elsewhere(
    sample: Container, blank: Container, target: str, allowed: bool
) -> None:
    sample.reload()
    address = next(iter(sample.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
    password = APP_PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
    target = f"host={address} connect_timeout=5 " + target.replace("RIGHT", f"'{password}'")
    code, output = execute(blank, "psql", "-XAtwd", target, "-c", "SELECT 'in'")
    assert (code == 0) is allowed, output


BROKEN = {
    "sql": (b"CREATE TABLE a (id integer);\nCOPY a FROM stdin;\n1\nx\n\\.\n", "COPY a, line 2"),
    "key": (
        b"CREATE TABLE a (id integer);\nCOPY a FROM stdin;\n1\n1\n\\.\n"
        b"ALTER TABLE ONLY a\n    ADD CONSTRAINT k PRIMARY KEY (id);\n",
        "line 7",
    ),
    "command": (b"CREATE TABLE a (id integer);\n\\! touch /tmp/x\n", "psql command"),
    "cut": (
        b"-- PostgreSQL database dump\nCREATE TABLE a (id integer);\nCOPY a FROM stdin;\n1\n",
        "it is truncated: it ends in the rows of the table a",
    ),
    "ends": (b"-- PostgreSQL database dump\nCREATE TABLE a (id integer);\n", "truncated"),
    "archive": (b"PGDMP\x01\x0e\x00" + bytes(200), "cannot be restored"),
}


@pytest.fixture(scope="module")
def broken(containers: Containers, databases: Databases) -> dict[str, tuple[Container, str]]:
    """Primaries with dumps that cannot be restored, all at the same time, and their volumes."""
    started = {}
    for number, (name, (content, _)) in enumerate(BROKEN.items()):
        key = f"{number}b" * 32
        databases.add_dump(gzip.compress(content), key)
        volume = containers.volume(f"broken-{name}")
        started[name] = (databases.primary(volume, key), volume)
    return started


@pytest.mark.parametrize("name", BROKEN)
def test_a_dump_that_cannot_be_restored_ends_the_container_with_the_reason(
    broken: dict[str, tuple[Container, str]], name: str
) -> None:
    container, _ = broken[name]
    log = until_exited(container)
    last = log.strip().splitlines()[-1]
    assert container.wait()["StatusCode"] == 1, log
    assert last.startswith("fatal: the dump "), log
    assert BROKEN[name][1] in last, "it names the place"
    assert "pulumi config set dumpUrl" in last, "and the command that fixes it"


def test_after_a_dump_that_cannot_be_restored_a_good_one_is(
    containers: Containers, databases: Databases, broken: dict[str, tuple[Container, str]], good: bytes
) -> None:
    assert good
    container, volume = broken["sql"]
    until_exited(container)
    containers.remove(container)
    again = databases.primary(volume, KEY)
    until_healthy(again, "primary")
    assert sql(again, "SELECT count(*) FROM datavalue") == "2000"
    assert sql(again, "SELECT to_regclass('a') IS NULL") == "t", "nothing of the bad one is kept"


def test_a_killed_restore_begins_again_and_is_never_healthy_in_between(
    containers: Containers, databases: Databases, good: bytes
) -> None:
    # A dump that waits in the middle, so that the moment of the kill is certain.
    slow = gzip.decompress(good).replace(b"COPY public.datavalue ", b"SELECT pg_sleep(600);\nCOPY public.datavalue ")
    key = "51" * 32
    databases.add_dump(slow, key)
    volume = containers.volume("killed")
    container = databases.primary(volume, key)
    sleeping = "ls /var/lib/postgresql/staging/work && ps ax | grep -q '[S]ELECT'"
    until(lambda: shell(container, sleeping)[0] == 0, "the pause", container=container)
    assert health(container, "primary")[0] == 1, "half a database is not healthy"
    container.kill()
    databases.add_dump(good, key)
    container.start()
    until_healthy(container, "primary")
    assert sql(container, "SELECT count(*) FROM datavalue") == "2000", "it is restored from the beginning"
    assert shell(container, "ls /var/lib/postgresql/staging")[0] != 0, "nothing of the first try is left"


def test_a_stop_during_a_restore_does_not_wait_for_it(containers: Containers, databases: Databases) -> None:
    databases.add_dump(b"SELECT pg_sleep(600);\n", "50" * 32)
    container = databases.primary(containers.volume("stopped-early"), "50" * 32)
    until_logged(container, "SELECT pg_sleep")
    container.stop(timeout=60)
    assert "stopped before it was finished" in logs(container)
    assert container.wait()["StatusCode"] == 143, "it was not killed"


def test_a_database_without_its_marker_is_removed(
    containers: Containers, databases: Databases, sample: Container
) -> None:
    assert sample
    volume = containers.volume("unmarked")
    container = databases.primary(volume)
    until_healthy(container, "primary")
    sql(container, "CREATE TABLE half (id integer)")
    shell(container, "rm /var/lib/postgresql/restored")
    container.kill()
    container.start()
    until_logged(container, "never finished")
    until_healthy(container, "primary")
    assert sql(container, "SELECT to_regclass('half') IS NULL") == "t"


def test_keep_data_decides_once_what_another_dump_does(
    containers: Containers, databases: Databases, good: bytes
) -> None:
    other = "0e" * 32
    assert good
    databases.add_dump(b"CREATE TABLE other (id integer);\n", other)
    volume = containers.volume("kept")

    def deploy(key: str, *, keep: bool) -> Container:
        container = databases.primary(volume, key, keep=keep)
        until_healthy(container, "primary")
        return container

    def tables(container: Container) -> str:
        return sql(container, "SELECT to_regclass('mine') IS NOT NULL, to_regclass('other') IS NOT NULL")

    first = deploy("none", keep=False)
    sql(first, "CREATE TABLE mine (id integer)")
    containers.remove(first)
    kept = deploy(other, keep=True)
    assert tables(kept) == "t|f", "keepData: the data stays"
    assert "is not restored because keepData is true" in logs(kept), "and the log says so"
    containers.remove(kept)
    toggled = deploy(other, keep=False)
    assert tables(toggled) == "t|f", "toggling keepData changes nothing"
    containers.remove(toggled)
    replaced = deploy(KEY, keep=False)
    assert tables(replaced) == "f|f", "another dump replaces the database"
    assert "is replaced by" in logs(replaced), "and the log says so"
    assert sql(replaced, "SELECT count(*) FROM datavalue") == "2000"


def test_a_new_dump_that_cannot_be_restored_costs_no_data(containers: Containers, databases: Databases) -> None:
    bad = "bd" * 32
    text = b"-- PostgreSQL database dump\nSELECT no_such_function();\n-- PostgreSQL database dump complete\n"
    databases.add_dump(text, bad)
    volume = containers.volume("survivor")
    first = databases.primary(volume, "none")
    until_healthy(first, "primary")
    sql(first, "CREATE TABLE mine (id integer)")
    containers.remove(first)
    failed = databases.primary(volume, bad)
    assert "no_such_function" in until_exited(failed)
    containers.remove(failed)
    back = databases.primary(volume, "none")
    until_healthy(back, "primary")
    assert sql(back, "SELECT to_regclass('mine') IS NOT NULL") == "t", (
        "the old dump's name brings the old database back"
    )


def test_a_damaged_dump_is_reported_with_the_command_that_fetches_it_again(
    containers: Containers, databases: Databases, good: bytes
) -> None:
    damaged = "da" * 32
    databases.add_dump(good, damaged, total="0" * 64)
    log = until_exited(databases.primary(containers.volume("damaged"), damaged))
    assert "is damaged; fetch it again: docker rm some-dump && pulumi up --refresh" in log


def test_a_database_of_another_major_version_is_not_changed(containers: Containers, databases: Databases) -> None:
    volume = containers.volume("older")
    container = databases.primary(volume)
    until_healthy(container, "primary")
    shell(container, "echo 14 >/var/lib/postgresql/cluster/PG_VERSION")
    container.kill()
    container.start()
    last = until_exited(container).strip().splitlines()[-1]
    assert last.startswith("fatal: the database was initialised by PostgreSQL 14 and this image has 17"), last
    container.start()
    assert "nothing was changed" in until_exited(container)


def test_a_stop_is_a_clean_shutdown(containers: Containers, databases: Databases) -> None:
    container = databases.primary(containers.volume("stopped"))
    until_healthy(container, "primary")
    started = time.monotonic()
    container.stop(timeout=30)
    assert time.monotonic() - started < 25, "it does not wait to be killed"
    assert "database system is shut down" in logs(container)
    assert container.wait()["StatusCode"] == 0


@pytest.mark.parametrize("name", ["dhis2-2.42.5-empty.sql.gz", "dhis2-2.42.5-sample.sql.gz"])
def test_a_dump_of_dhis2_itself_is_restored(containers: Containers, databases: Databases, name: str) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout; it is a dump of a real DHIS2")
    key = f"{'e' if 'empty' in name else 'a'}" * 64
    databases.add_dump(path.read_bytes(), key)
    container = databases.primary(containers.volume(name.split(".")[2]), key)
    until_healthy(container, "primary")
    assert sql(container, "SELECT count(*) FROM flyway_schema_history") == "322"
    expected = "400147" if "sample" in name else "0"
    assert sql(container, "SELECT count(*) FROM datavalue") == expected
    assert sql(container, FOREIGN) == "0"
