"""Dumps that would run a program, name what is missing or are damaged archives are refused with their fix."""

import gzip

import pytest
from docker.errors import NotFound
from docker.models.containers import Container

from tests.container.databases import Databases, until_healthy
from tests.support.commands import sql, stdout_of
from tests.support.containers import Containers
from tests.support.waiting import until_exited

pytestmark = pytest.mark.container

CLUSTER = b"--\n-- PostgreSQL database cluster dump\n--\n\nCREATE ROLE joe;\n"
TABLE = b"CREATE TABLE public.a (id integer);\n"
PROGRAM = b"COPY public.a FROM PROGRAM 'touch /var/lib/postgresql/was-run; echo 1';\n"
# A dump, and what the message must name.
BROKEN: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "psql command": (TABLE + b"\\! touch /var/lib/postgresql/was-run\n", ("line 2 has the psql command \\!",)),
    "psql command in a statement": (
        TABLE + b"SELECT 1 \\! touch /var/lib/postgresql/was-run\n;\n",
        ("line 2 has a psql command",),
    ),
    "psql command after a string": (
        b"SELECT E'it\\'s' \\! touch /var/lib/postgresql/was-run\n;\n",
        ("line 1 has a psql command",),
    ),
    "psql variable": (TABLE + b"\\set x `touch /var/lib/postgresql/was-run`\n", ("line 2 has the psql command \\set",)),
    "program": (TABLE + PROGRAM, ("line 2:", "COPY to or from an external program")),
    "program in a block": (
        TABLE + b"DO $$ BEGIN EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch /var/lib/postgresql/was-run'''; END $$;\n",
        ("line 2:", "COPY to or from an external program"),
    ),
    "file of the server": (TABLE + b"COPY public.a FROM '/etc/passwd';\n", ("line 2:", "COPY from a file")),
    "cut in a statement": (b"CREATE TABLE public.a (\n  id integer", ("truncated", "begins in line 1")),
    "cluster, cut": (
        CLUSTER + b"\\connect template1\n\\connect one\n",
        ("pg_dumpall): one;", "pg_dump -Fc -f one.dump one"),
    ),
    "two databases": (
        b"\\connect one\n" + TABLE + b"\\connect two\n" + TABLE,
        ("several databases, one and two (line 3)",),
    ),
    "two databases, one without a name": (
        TABLE + b"\\connect two\n" + TABLE,
        ("several databases, one without a name and two (line 2)", "pg_dump -Fc -f FILE DATABASE"),
    ),
    "type of a missing extension": (
        b"CREATE EXTENSION missing_one;\nCREATE TABLE public.a (v public.vector);\n",
        ("line 2:", "extensions this image does not have: missing_one", "pulumi config set databaseImage"),
    ),
}
# Commands that write a broken archive of the database `kept` to standard output, and what the message must name.
ARCHIVES = {
    "custom, cut": ("pg_dump -U postgres -Fc kept | head -c 3000", ()),
    "custom, cut in its rows": ("pg_dump -U postgres -Fc -Z0 kept | head -c 90000", ("end of file",)),
    "tar, cut in its rows": ("pg_dump -U postgres -Ft kept | head -c 90000", ("truncated", "Unexpected EOF")),
    "custom, without tables": ("pg_dump -U postgres -Fc -a kept", ("table public a", "(pg_dump --data-only)")),
    "custom, of a newer pg_dump": (
        "pg_dump -U postgres -Fc kept | sed '1s/^PGDMP../PGDMP\\x01\\x63/'",
        ("unsupported version (1.99)", "it was made by PostgreSQL ", "pulumi config set databaseImage IMAGE, one with"),
    ),
    "tar without toc.dat": ("cd /tmp && echo 1 >dump.sql && tar -c dump.sql", ("toc.dat", "dump.sql")),
    "directory, cut": ("cd /tmp && pg_dump -U postgres -Fd -f cut kept && tar -c cut | head -c 9000", ("unpacked",)),
    "custom, another encoding": ("pg_dump -U postgres -Fc ascii", ("invalid byte sequence", "line ")),
    "custom, row": ("pg_dump -U postgres -Fc doubtful", ('check constraint "positive"', "ledger", "COPY")),
}
DOUBTFUL = """CREATE FUNCTION allowed() RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE TABLE ledger (n integer, CONSTRAINT positive CHECK (allowed()));
    INSERT INTO ledger VALUES (1);
    CREATE OR REPLACE FUNCTION allowed() RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';"""


@pytest.fixture(scope="module")
def archives(containers: Containers, databases: Databases) -> dict[str, bytes]:
    """The broken archives."""
    source = databases.primary(containers.volume("source"))
    until_healthy(source, "primary")
    for statement in (
        "CREATE DATABASE kept",
        "CREATE DATABASE doubtful",
        "CREATE DATABASE ascii ENCODING SQL_ASCII LOCALE 'C' TEMPLATE template0",
    ):
        sql(source, statement)
    sql(source, "CREATE TABLE a AS SELECT n, md5(n::text) FROM generate_series(1, 5000) n", "kept")
    sql(source, DOUBTFUL, "doubtful")
    sql(source, "CREATE TABLE a AS SELECT convert_from('\\xe9', 'SQL_ASCII') AS t", "ascii")
    return {name: stdout_of(source, "sh", "-c", command) for name, (command, _) in ARCHIVES.items()}


@pytest.fixture(scope="module")
def broken(containers: Containers, databases: Databases, archives: dict[str, bytes]) -> dict[str, Container]:
    """A primary for each dump that cannot be restored, all at the same time."""
    primaries = {}
    contents = {name: content for name, (content, _) in BROKEN.items()} | archives
    for number, (name, content) in enumerate(contents.items()):
        key = f"{number:02x}" * 32
        databases.add_dump(gzip.compress(content) if number % 2 else content, key)
        primaries[name] = databases.primary(containers.volume(f"broken-{number}"), key)
    return primaries


@pytest.mark.parametrize("name", [*BROKEN, *ARCHIVES])
def test_a_dump_that_cannot_be_restored_is_refused_with_the_place_the_reason_and_the_fix(
    broken: dict[str, Container], name: str
) -> None:
    log = until_exited(broken[name])
    last = log.strip().splitlines()[-1]
    assert broken[name].wait()["StatusCode"] == 1, log
    assert last.startswith("fatal: the dump "), log
    assert "cannot be restored: " in last and "nothing of it is kept. Fix: " in last
    for words in (BROKEN | ARCHIVES)[name][1]:
        assert words in last, f"'{words}' is missing: {log}"


@pytest.mark.parametrize("name", [name for name, (content, _) in BROKEN.items() if b"was-run" in content])
def test_nothing_in_a_dump_runs_a_program(broken: dict[str, Container], name: str) -> None:
    until_exited(broken[name])
    assert broken[name].get_archive("/var/lib/postgresql/staging"), "the folder a program could write to"
    with pytest.raises(NotFound):
        broken[name].get_archive("/var/lib/postgresql/was-run")
