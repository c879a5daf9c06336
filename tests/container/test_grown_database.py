"""A database as it grows over the years, restored from each format where two of its extensions cannot be created."""

from pathlib import Path

import pytest
from docker.models.containers import Container

from tests.container.databases import Databases, until_healthy
from tests.support.archive import packed
from tests.support.commands import logs, shell, sql, stdout_of
from tests.support.containers import Containers

pytestmark = pytest.mark.container

DATA = Path(__file__).with_name("data")
EXTENSIONS = "/usr/share/postgresql/17/extension"
FORMS = {
    "plain": "pg_dump -U postgres grown",
    "inserts": "pg_dump -U postgres --create --clean --inserts grown",
    "custom": "pg_dump -U postgres -Fc grown",
    "tar": "pg_dump -U postgres -Ft grown",
    "directory": "cd /tmp && pg_dump -U postgres -Fd -f grown.d grown && tar -cC grown.d .",
}


def extension_files(*, fails: bool) -> dict[str, str | bytes]:
    """The files of the extension `preloaded`, which cannot be created when it `fails`."""
    script = "preloaded--fails.sql" if fails else "preloaded--1.0.sql"
    return {
        f"{EXTENSIONS}/preloaded.control": (DATA / "extension/preloaded.control").read_text(),
        f"{EXTENSIONS}/preloaded--1.0.sql": (DATA / "extension" / script).read_text(),
    }


@pytest.fixture(scope="module")
def source(containers: Containers, databases: Databases) -> Container:
    """A server with the database `grown` and the extensions it uses."""
    container = databases.primary(containers.volume("source"))
    until_healthy(container, "primary")
    files = extension_files(fails=False) | {"/var/lib/postgresql/grown.sql": (DATA / "grown.sql").read_text()}
    for name in ("cronlike.control", "cronlike--1.0.sql"):
        files[f"{EXTENSIONS}/{name}"] = (DATA / "extension" / name).read_text()
    container.put_archive("/", packed(files))
    create = "createdb -U postgres -T template0 grown"
    code, output = shell(
        container, f"{create} && psql -X -q -v ON_ERROR_STOP=1 -U postgres -d grown -f /var/lib/postgresql/grown.sql"
    )
    assert code == 0, output
    return container


@pytest.fixture(scope="module")
def grown(containers: Containers, databases: Databases, source: Container) -> dict[str, Container]:
    """Each form restored on a server where `cronlike` is missing and `preloaded` cannot be created."""
    primaries = {}
    for number, (form, command) in enumerate(FORMS.items()):
        content = stdout_of(source, "sh", "-c", command)
        key = f"{number}" * 64
        databases.add_dump(content, key)
        primaries[form] = databases.primary(containers.volume(f"grown-{number}"), key, start=False)
        primaries[form].put_archive("/", packed(extension_files(fails=True)))
        primaries[form].start()
    return primaries


@pytest.mark.parametrize("form", FORMS)
def test_extensions_are_where_the_dump_has_them_with_their_rows(grown: dict[str, Container], form: str) -> None:
    until_healthy(grown[form], "primary")
    where = "SELECT extname, nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace"
    placed = sql(grown[form], f"{where} WHERE extname IN ('hstore', 'postgis_topology') ORDER BY 1").splitlines()
    assert placed == ["hstore|ext", "postgis_topology|topology"]
    assert sql(grown[form], 'SELECT "values" FROM settings WHERE id = 2') == r'"CREATE"=>"GRANT ALL; \\."'
    assert sql(grown[form], "SELECT name FROM topology.topology") == "districts"
    assert sql(grown[form], "SELECT last_value FROM topology.topology_id_seq") == "1"


@pytest.mark.parametrize("form", FORMS)
def test_rows_of_spatial_ref_sys_are_added_and_the_server_s_own_stay(
    grown: dict[str, Container], source: Container, form: str
) -> None:
    until_healthy(grown[form], "primary")
    assert sql(source, "SELECT auth_name FROM spatial_ref_sys WHERE srid = 900913", "grown") == "changed"
    names = sql(grown[form], "SELECT auth_name FROM spatial_ref_sys WHERE srid IN (900913, 990001) ORDER BY srid")
    assert names.splitlines() == ["spatialreferencing.org", "our own"]
    assert sql(grown[form], "SELECT count(*) FROM pg_trigger WHERE tgname = 'skip_existing'") == "0", (
        "nothing of it stays"
    )


@pytest.mark.parametrize("form", FORMS)
def test_what_belongs_to_an_extension_that_cannot_be_created_is_left_out_and_named(
    grown: dict[str, Container], form: str
) -> None:
    until_healthy(grown[form], "primary")
    log = logs(grown[form])
    assert (
        'the extension cronlike is left out, with what belongs to it: ERROR: extension "cronlike" is not available'
        in log
    )
    assert (
        "the extension preloaded is left out, with what belongs to it: ERROR: preloaded can only be loaded via" in log
    )
    left_out = next(line for line in log.splitlines() if line.startswith("left out: "))
    for name in ("cronlike", "job", "preloaded_settings", "EVENT TRIGGER", "on_change", "PUBLICATION", "USER MAPPING"):
        assert name in left_out, left_out
    assert (
        sql(grown[form], "SELECT to_regclass('cronlike.job') IS NULL AND to_regclass('preloaded_settings') IS NULL")
        == "t"
    )
    assert sql(grown[form], "SELECT count(*) FROM pg_event_trigger") == "0"


@pytest.mark.parametrize("form", FORMS)
def test_tables_owners_and_foreign_servers_are_restored_for_dhis2_s_role(
    grown: dict[str, Container], form: str
) -> None:
    until_healthy(grown[form], "primary")
    kinds = "SELECT relname, relpersistence, pg_get_userbyid(relowner) FROM pg_class WHERE relkind IN ('r', 'f')"
    tables = sql(
        grown[form], f"{kinds} AND relnamespace = 'public'::regnamespace AND relname <> 'spatial_ref_sys' ORDER BY 1"
    )
    assert tables.splitlines() == [
        "analytics|p|dhis",
        "analytics_parent|p|dhis",
        "far|p|dhis",
        "fast_table|p|dhis",
        "settings|p|dhis",
    ], "an unlogged table could not be read on a replica"
    assert sql(grown[form], "SELECT pg_get_userbyid(srvowner) FROM pg_foreign_server") == "dhis"
    assert "mapped-password" not in logs(grown[form]), "what is left out is named without its secrets"
    assert sql(grown[form], "INSERT INTO settings DEFAULT VALUES RETURNING id") == "3", (
        "sequences go on where they were"
    )


def test_the_backup_of_a_restored_stack_restores(
    containers: Containers, databases: Databases, grown: dict[str, Container]
) -> None:
    until_healthy(grown["custom"], "primary")
    backup = ["pg_dump", "-h", "/var/run/postgresql", "-U", "postgres", "-Fc", "dhis"]  # as in docs/data-and-backup.md
    code, content = grown["custom"].exec_run(backup)
    assert code == 0, content
    databases.add_dump(content, "b" * 64)
    restored = databases.primary(containers.volume("backup"), "b" * 64)
    until_healthy(restored, "primary")
    for query in (
        "SELECT string_agg(srid || auth_name, ',' ORDER BY srid) FROM spatial_ref_sys WHERE srid IN (900913, 990001)",
        "SELECT name FROM topology.topology",
        'SELECT count(*), min("values"::text) FROM settings',
        "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relowner = 'dhis'::regrole AND relkind IN ('r', 'v', 'S', 'f', 'i') AND relnamespace <> 'pg_toast'::regnamespace",
    ):
        assert sql(restored, query) == sql(grown["custom"], query)
    assert "left out" not in logs(restored), "all that a stack has, a stack can have"
