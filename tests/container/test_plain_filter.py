"""plain-filter.awk with the image's awk: which lines of a dump psql gets, and that no row and no text is altered."""

import pytest
from docker.models.containers import Container

from components.templates.rendering import render
from tests.support.archive import packed
from tests.support.commands import shell
from tests.support.containers import Containers
from tests.support.project import POSTGRES

pytestmark = pytest.mark.container

WORK = "/tmp"  # noqa: S108
SERVER = {
    "parameters": "client_encoding\ndefault_tablespace\nrow_security\n",
    "relations": "public.spatial_ref_sys\npublic.a\npublic.b\n",
    "schemas": "public\n",
    "wrappers": "postgres_fdw\n",
    "extensions": "postgis\nlost\n",
    "missing-extensions": "lost\n",
}
# Every line reaches psql as it is.
KEPT = {
    "rows": (
        "COPY public.a (t) FROM stdin;\nGRANT ALL ON a TO b;\n\\N\\t'\n"
        "ALTER TABLE a OWNER TO b;\n-- \\! x\n\n\\.\nSELECT 1;\n"
    ),
    "rows of a table with an odd name": (
        'CREATE TABLE public."a; ""b" (\n);\nCOPY public."a; ""b" FROM stdin;\nGRANT\n\\.\n'
    ),
    "rows with carriage returns": (
        "CREATE TABLE public.a ();\r\nCOPY public.a FROM stdin;\r\nDROP ROLE x;\r\n\\.\r\nSELECT 1;\r\n"
    ),
    "a string over lines": "INSERT INTO public.a VALUES (1, 'it''s\nGRANT ALL ON a TO b;\n\\! x\nDROP ROLE c;', 2);\n",
    "a string with backslashes": "INSERT INTO public.a VALUES (E'\\\\', E'it\\'s\nGRANT x;\n', '\\');\nSELECT 1;\n",
    "a body": (
        "CREATE FUNCTION f() AS $$\nBEGIN\nGRANT ALL ON a TO b; -- it's\nALTER TABLE a OWNER TO b;\n\\echo\nEND\n$$;\n"
    ),
    "a body with a tag": "CREATE FUNCTION f() AS $_x1$\nDROP ROLE a; '$$'\n$_x1$ LANGUAGE sql;\n",
    "a body of statements": "CREATE FUNCTION f() RETURNS integer\n    BEGIN ATOMIC\n SELECT 1;\n SELECT 2;\nEND;\n",
    "a comment with an apostrophe": "CREATE TABLE public.a (\n    id integer -- it's an id\n);\nSELECT 1;\n",
    "parameters the server has": (
        "SET row_security = off;\nSELECT pg_catalog.set_config('row_security', 'off', false);\n"
    ),
    "a drop among other statements": "CREATE TABLE public.a ();\nDROP TABLE public.a;\nALTER TABLE public.b DROP c;\n",
    "an extension the server is not asked for yet": "CREATE TABLE public.a ();\nCREATE EXTENSION citext;\n",
    "a table that an extension has created": "COPY public.spatial_ref_sys (srid) FROM stdin;\n1\n\\.\n",
    "a sequence": "SELECT pg_catalog.setval(to_regclass('public.a_id_seq'), 5, true);\n",
}
# An empty line reaches psql instead of each.
LEFT_OUT = {
    "grants": 'GRANT SELECT ON TABLE public.a TO joe;\nREVOKE ALL ON SCHEMA public FROM "j; o";\n',
    "roles": "CREATE ROLE joe;\nALTER USER joe SET x = y;\nDROP GROUP joe;\nCREATE USER joe PASSWORD 'p\nq';\n",
    "owners": 'ALTER TABLE public.a OWNER TO joe;\nALTER FUNCTION public.f(a text, b "x;y") OWNER TO "odd; name";\n',
    "privileges": "ALTER DEFAULT PRIVILEGES FOR ROLE a REVOKE ALL ON TABLES FROM b;\nSET SESSION AUTHORIZATION joe;\n",
    "whole databases": (
        "CREATE DATABASE a;\n\\connect a\nALTER DATABASE a SET x TO 'y';\nCOMMENT ON DATABASE a IS 'b\nc';\n"
    ),
    "the transaction": "BEGIN;\nCOMMIT;\n",
    "drops at the beginning": (
        "DROP TABLE public.a;\nALTER TABLE ONLY public.b DROP CONSTRAINT c;\nDROP SCHEMA public;\n"
    ),
    "parameters of another version": "SET default_with_oids = false;\nSET default_tablespace = fast;\n",
    "bytes of no encoding": "SET client_encoding = 'SQL_ASCII';\n",
    "extensions": (
        "CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;\nCOMMENT ON EXTENSION postgis IS 'a\nb';\n"
    ),
    "what only a superuser may own": "CREATE EVENT TRIGGER a ON ddl_command_end\n   EXECUTE FUNCTION public.f();\n",
    "user mappings": "CREATE USER MAPPING FOR joe SERVER s OPTIONS (\n    password 'p'\n);\n",
    "psql commands of pg_dump": "\\restrict abc\n\\unrestrict abc\n",
    "rows of a missing extension": (
        "COPY lost.job (id) FROM stdin;\n1\n\\N\n\\.\nINSERT INTO lost.job VALUES (1, 'a\nb');\n"
    ),
    "indexes of a missing extension": (
        "CREATE INDEX i ON lost.job USING btree (id);\nALTER TABLE ONLY lost.job\n    ADD x;\n"
    ),
}


@pytest.fixture(scope="module")
def server(containers: Containers) -> Container:
    container = containers.start(POSTGRES, entrypoint=["sleep", "300"], user="999:999")
    programs = {name: render(f"database/{name}") for name in ("statements.awk", "plain-filter.awk")}
    container.put_archive(WORK, packed({**programs, **SERVER}))
    return container


def filtered(server: Container, text: str) -> str:
    server.put_archive(WORK, packed({"dump.sql": text}))
    code, output = shell(
        server,
        f"cd {WORK} && echo [; LC_ALL=C awk -v dir={WORK} -f statements.awk -f plain-filter.awk dump.sql; echo ]",
    )
    assert code == 0
    return output.removeprefix("[\n").removesuffix("]")


@pytest.mark.parametrize("name", KEPT)
def test_rows_texts_and_statements_of_a_database_reach_psql_as_they_are(server: Container, name: str) -> None:
    assert filtered(server, KEPT[name]) == KEPT[name]


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_belongs_to_another_server_is_an_empty_line(server: Container, name: str) -> None:
    text = LEFT_OUT[name]
    assert filtered(server, text + "SELECT 1;\n") == "\n" * text.count("\n") + "SELECT 1;\n"


def test_a_schema_that_an_extension_may_have_created_is_created_if_it_does_not_exist(server: Container) -> None:
    assert filtered(server, "CREATE SCHEMA a AUTHORIZATION joe;\n") == "CREATE SCHEMA IF NOT EXISTS a;\n"


def test_a_byte_order_mark_is_no_part_of_the_first_statement(server: Container) -> None:
    assert filtered(server, "\ufeffDROP TABLE a;\nSELECT 1;\n") == "\nSELECT 1;\n"
