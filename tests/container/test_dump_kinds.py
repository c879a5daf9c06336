"""Dumps as people have them: what is restored, what is left out and named, what is refused with its fix."""

import gzip
import hashlib

import pytest
from docker.models.containers import Container

from tests.container.databases import Databases, until_healthy
from tests.support.commands import logs, sql
from tests.support.containers import Containers
from tests.support.project import ROOT
from tests.support.waiting import until_exited, until_logged

pytestmark = pytest.mark.container

SHARED = ROOT.parent / "shared" / "data" / "dumps"
HEAD = "-- PostgreSQL database dump\nSET client_encoding = 'UTF8';\n"
END = "-- PostgreSQL database dump complete\n"
A = "CREATE TABLE public.a (id integer);\nCOPY public.a (id) FROM stdin;\n1\n\\.\n"


def text(*parts: str) -> bytes:
    return (HEAD + "".join(parts) + END).encode()


# name -> (dump, query, its result, what the log has)
RESTORED: dict[str, tuple[bytes, str, str, str]] = {
    "byte order mark": (b"\xef\xbb\xbf" + text(A), "SELECT id FROM a", "1", ""),
    "clean": (
        text("ALTER TABLE ONLY public.a DROP CONSTRAINT k;\nDROP TABLE public.a;\nDROP EXTENSION postgis;\n", A),
        "SELECT id FROM a",
        "1",
        "",
    ),
    "an extension the image lacks": (
        text(
            "CREATE EXTENSION IF NOT EXISTS no_such_extension WITH SCHEMA pg_catalog;\n",
            "COMMENT ON EXTENSION no_such_extension IS 'x';\n",
            A,
            "COPY job.jobs (id) FROM stdin;\n7\n\\.\n",
            "SELECT pg_catalog.setval('job.jobs_seq', 2, true);\n",
        ),
        "SELECT id FROM a",
        "1",
        "the extension no_such_extension is left out, with what belongs to it",
    ),
    "an extension in a schema of its own": (
        text(
            "CREATE SCHEMA ext;\nALTER SCHEMA ext OWNER TO someone;\n",
            "CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA ext;\n",
            "CREATE TABLE public.a (t text);\nCREATE INDEX i ON public.a USING gin (t ext.gin_trgm_ops);\n",
        ),
        "SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_trgm'",
        "ext",
        "",
    ),
    "rows of spatial_ref_sys": (
        text(
            "COPY public.spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text) FROM stdin;\n",
            "4326\tX\t1\tx\tx\n900999\tOWN\t1\tx\tx\n\\.\n",
        ),
        "SELECT string_agg(auth_name, ',' ORDER BY srid) FROM spatial_ref_sys WHERE srid IN (4326, 900999)",
        "EPSG,OWN",
        "",
    ),
    "unlogged": (
        text(A.replace("CREATE TABLE", "CREATE UNLOGGED TABLE")),
        "SELECT relpersistence FROM pg_class WHERE relname = 'a'",
        "p",
        "",
    ),
    "statements in rows and bodies": (
        text(
            "CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS $_$\nSELECT '\nGRANT ALL ON x TO y;\n';\n$_$;\n",
            "CREATE TABLE public.a (t text);\nCOPY public.a (t) FROM stdin;\n",
            "ALTER TABLE a OWNER TO b;\n\\\\! touch /tmp/x\nCREATE ROLE r;\n\\.\n",
        ),
        "SELECT count(*) || f() FROM a",
        "3\nGRANT ALL ON x TO y;",
        "",
    ),
    "roles, grants and tablespaces": (
        text(
            "CREATE ROLE x SUPERUSER;\nSET default_tablespace = fast;\nSET no_such_parameter = 1;\n",
            A,
            "ALTER TABLE public.a OWNER TO x;\nGRANT ALL ON TABLE public.a TO x;\n",
        ),
        "SELECT count(*) FROM pg_roles WHERE rolname IN ('x', 'loader')",
        "0",
        "",
    ),
    "no table": (text("SELECT 1;\n"), "SELECT 1", "1", "has no tables; DHIS2 begins with a blank database"),
}
# name -> (dump, what the message has)
REFUSED: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "UTF-16": (text(A).decode().encode("utf-16"), ("UTF-16", "pg_dump -f FILE DATABASE")),
    "pg_dumpall": (
        b"-- PostgreSQL database cluster dump\n\\connect template1\n\\connect one\n\\connect two\n",
        ("pg_dumpall): one, two", "pg_dump -Fc -f one.dump one"),
    ),
    "globals": (b"-- PostgreSQL database cluster dump\nCREATE ROLE x;\n", ("no database (pg_dumpall --globals-only)",)),
    "a program": (
        text("CREATE TABLE a (t text);\nCOPY a FROM PROGRAM 'id';\n"),
        ("COPY to or from an external program",),
    ),
    "a psql command": (text(A, "\\! id\n"), ("psql command \\!",)),
    "cut in a table's rows": (HEAD.encode() + A.encode()[:-3], ("truncated", "the rows of the table public.a")),
    "cut between statements": (HEAD.encode() + A.encode(), ("truncated", "without the last line pg_dump writes")),
    "cut with a byte order mark": (b"\xef\xbb\xbf" + HEAD.encode() + A.encode(), ("truncated",)),
    "a newer PostgreSQL": (
        text("-- Dumped from database version 99.1\n-- Dumped by pg_dump version 99.1\nCREATE NOVELTY a;\n"),
        ("made by PostgreSQL 99.1 with pg_dump 99.1", "databaseImage", "PostgreSQL 99 or newer"),
    ),
    "invalid UTF-8": (
        text(
            "SET client_encoding = 'SQL_ASCII';\nCREATE TABLE public.a (t text);\nCOPY public.a FROM stdin;\n"
        ).replace(END.encode(), b"\xff\n\\.\n" + END.encode()),
        ("invalid byte sequence", "iconv -f LATIN1"),
    ),
}


@pytest.fixture(scope="module")
def databases(containers: Containers) -> Databases:
    return Databases(containers, containers.volume("dumps"))


def primary(containers: Containers, databases: Databases, content: bytes) -> Container:
    """Start a primary that restores a dump."""
    key = hashlib.sha256(content).hexdigest()
    databases.add_dump(gzip.compress(content), key)
    return databases.primary(containers.volume(f"kind-{key[:8]}"), key)


@pytest.mark.parametrize("name", RESTORED)
def test_a_dump_of_this_kind_is_restored(containers: Containers, databases: Databases, name: str) -> None:
    content, query, result, line = RESTORED[name]
    container = primary(containers, databases, content)
    until_healthy(container, "primary")
    assert sql(container, query) == result
    assert line in logs(container), "what is left out is named"
    containers.remove(container)


@pytest.mark.parametrize("name", REFUSED)
def test_a_dump_of_this_kind_is_refused_with_its_fix(containers: Containers, databases: Databases, name: str) -> None:
    content, words = REFUSED[name]
    container = primary(containers, databases, content)
    until_logged(container, "fatal: the dump ")
    line = next(line for line in logs(container).splitlines() if line.startswith("fatal: the dump "))
    assert all(word in line for word in words), line
    until_exited(container)
    containers.remove(container)


# The dumps beside the checkout, and a table that is there afterwards, or what refuses them.
BESIDE: dict[str, tuple[str, str]] = {
    "topology-hstore.sql": ("restored", ""),
    "topology-hstore.dump": ("restored", ""),
    "pg_cron.sql": ("restored", "the extension pg_cron is left out"),
    "spatial_ref_sys.sql": ("restored", ""),
    "spatial_ref_sys.dump": ("restored", ""),
    "clean.sql": ("restored", ""),
    "bom-clean.sql": ("restored", ""),
    "unlogged.sql": ("restored", ""),
    "utf16.sql": ("refused", "UTF-16"),
    "other-names.sql": ("refused", "pg_dumpall"),
    "pg18-virtual.sql": ("refused", "databaseImage"),
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_dump_beside_the_checkout_has_its_outcome(containers: Containers, databases: Databases, name: str) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout; the kinds above cover it")
    outcome, line = BESIDE[name]
    container = primary(containers, databases, path.read_bytes())
    if outcome == "restored":
        until_healthy(container, "primary")
    else:
        until_exited(container)
        assert "fatal: the dump " in logs(container)
    assert line in logs(container)
    containers.remove(container)


def test_the_same_content_at_another_address_is_the_same_dump(containers: Containers, databases: Databases) -> None:
    one, other = "01" * 32, "02" * 32
    for key in (one, other):
        databases.add_dump(text(A), key)
    volume = containers.volume("same")
    first = databases.primary(volume, one)
    until_healthy(first, "primary")
    sql(first, "CREATE TABLE mine (id integer)")
    containers.remove(first)
    second = databases.primary(volume, other)
    until_healthy(second, "primary")
    assert sql(second, "SELECT to_regclass('mine') IS NOT NULL") == "t", "a URL with a new signature costs no data"
    assert "has the content of the one before" in logs(second)


def test_a_database_of_version_0_1_is_taken_over(containers: Containers, databases: Databases) -> None:
    key = "03" * 32
    databases.add_dump(text(A), key)
    volume = containers.volume("taken-over")
    first = databases.primary(volume, key)
    until_healthy(first, "primary")
    sql(first, "CREATE TABLE mine (id integer)")
    # As version 0.1 has left it.
    old = "sed -e s/^dump_/seed_/ -e s/^restored_at/loaded_at/ restored >seeded && rm restored"
    first.exec_run(["sh", "-c", f"cd /var/lib/postgresql && {old}"])
    containers.remove(first)
    second = databases.primary(volume, key)
    until_healthy(second, "primary")
    assert sql(second, "SELECT to_regclass('mine') IS NOT NULL") == "t"
    code, marker = second.exec_run(["cat", "/var/lib/postgresql/restored"])
    assert code == 0 and b"dump_key=" + key.encode() in marker and b"restored_at=" in marker
