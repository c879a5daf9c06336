"""Another databaseImage: versions of extensions and collations that differ from the database's."""

import re

import pytest
from docker.models.containers import Container

from tests.container.databases import Databases, until_healthy
from tests.support.archive import packed
from tests.support.commands import logs, shell_output, sql
from tests.support.containers import Containers
from tests.support.waiting import until_logged

pytestmark = pytest.mark.container

VERSIONED = "comment = 'an extension'\ndefault_version = '{}'\nrelocatable = true\n"
FUNCTION = "CREATE {}FUNCTION {}_version() RETURNS text LANGUAGE sql AS $$SELECT '{}'$$;\n"
NAMES = ("grows", "stays")


def put(container: Container, files: dict[str, str | bytes]) -> None:
    """Put files into the folder of extensions."""
    folder = shell_output(container, "dirname /usr/share/postgresql/*/extension/plpgsql.control")
    container.put_archive("/", packed({f"{folder}/{name}": text for name, text in files.items()}))


def answer(container: Container, statement: str) -> str:
    """Return the result of a statement without PostgreSQL's own warning of the collation version."""
    lines = sql(container, statement).splitlines()  # of two streams, in any order
    return next(line for line in lines if not re.match("WARNING:|DETAIL:|HINT:", line))


def warnings(container: Container) -> list[str]:
    """Return what `pulumi up` warns of."""
    text = shell_output(container, "cat /var/run/postgresql/warnings")
    return [line.removeprefix("warning=") for line in text.splitlines()]


@pytest.fixture(scope="module")
def upgraded(containers: Containers) -> Container:
    """A primary that was restarted with another version of three extensions and of two collations."""
    databases = Databases(containers, containers.volume("dumps"))
    container = databases.primary(containers.volume("image"))
    until_healthy(container, "primary")
    assert warnings(container) == [], "an image and its own database"
    for name in (*NAMES, "missing"):
        put(
            container,
            {f"{name}.control": VERSIONED.format("1.0"), f"{name}--1.0.sql": FUNCTION.format("", name, "1.0")},
        )
        sql(container, f"CREATE EXTENSION {name}")
    for name in NAMES:
        put(container, {f"{name}.control": VERSIONED.format("2.0")})
    put(container, {"grows--1.0--2.0.sql": FUNCTION.format("OR REPLACE ", "grows", "2.0")})
    container.exec_run(["sh", "-c", "rm /usr/share/postgresql/*/extension/missing*"], user="root")
    sql(container, "CREATE COLLATION odd (provider = icu, locale = 'und'); CREATE TABLE texts (t text COLLATE \"odd\")")
    sql(container, "CREATE INDEX ON texts (t); CREATE COLLATION unused (provider = icu, locale = 'und')")
    sql(container, "UPDATE pg_collation SET collversion = '1.2.3' WHERE collname IN ('odd', 'unused')")
    if sql(container, "SELECT current_setting('server_version_num')::integer >= 150000") == "t":
        sql(container, "UPDATE pg_database SET datcollversion = '2.28' WHERE datname = 'dhis'")
    before = len(logs(container))
    container.restart(timeout=30)
    until_logged(container, "is ready", before)
    until_healthy(container, "primary")
    return container


def test_the_sql_definitions_of_an_extension_follow_the_image(upgraded: Container) -> None:
    assert answer(upgraded, "SELECT grows_version()") == "2.0"
    assert "the extension grows is updated from 1.0 to 2.0, the version of this image" in logs(upgraded)
    assert not [line for line in warnings(upgraded) if "grows" in line]


def test_an_extension_that_cannot_be_updated_is_warned_about_with_the_command(upgraded: Container) -> None:
    line = next(line for line in warnings(upgraded) if "stays" in line)
    assert "the extension stays is 1.0 in the database and 2.0 in this image (ERROR: " in line
    assert "no update path" in line
    assert """eval "$(pulumi stack output psql) -c 'ALTER EXTENSION \\"stays\\" UPDATE'\"""" in line
    assert f"warning: {line}" in logs(upgraded)


def test_an_extension_that_the_image_lacks_is_warned_about(upgraded: Container) -> None:
    line = next(line for line in warnings(upgraded) if "missing" in line)
    assert line.startswith("the database has the extension missing and this image has not. Fix: ")


def test_indexes_that_another_collation_version_has_built_are_warned_about(upgraded: Container) -> None:
    reindex = "REINDEX DATABASE dhis"
    line = next(line for line in warnings(upgraded) if "public.odd" in line)
    assert "version 1.2.3 of the collation public.odd and this image has " in line
    assert reindex in line and "ALTER COLLATION public.odd REFRESH VERSION" in line
    assert not [line for line in warnings(upgraded) if "unused" in line], "no index uses it"
    if answer(upgraded, "SELECT current_setting('server_version_num')::integer >= 150000") == "t":
        line = next(line for line in warnings(upgraded) if "collation default" in line)
        assert "version 2.28" in line and reindex in line
        assert re.search("ALTER DATABASE dhis REFRESH COLLATION VERSION|SET datcollversion = NULL", line), "C has none"


def test_the_commands_of_the_warnings_end_them(upgraded: Container) -> None:
    psql = "psql -h /var/run/postgresql -U postgres dhis"
    for line in warnings(upgraded):
        command = line.partition("Fix: eval ")[2].partition(", or an image")[0]
        if "REINDEX" in command:
            shell_output(upgraded, f"eval {command.replace('$(pulumi stack output psql)', psql)}")
    before = len(logs(upgraded))
    upgraded.restart(timeout=30)
    until_logged(upgraded, "is ready", before)
    assert not [line for line in warnings(upgraded) if "collation" in line]
