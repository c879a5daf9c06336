"""Dumps of each kind: those that are restored and those that are refused."""

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
    "no row": (text("CREATE TABLE public.a (id integer);\n"), "SELECT count(*) FROM a", "0", "has tables, but no rows"),
    "a setting of the database": (
        text(
            "CREATE DATABASE grown;\nALTER DATABASE grown OWNER TO joe;\n\\connect grown\n",
            "ALTER DATABASE grown SET search_path TO '$user', 'public', 'topology';\n",
            "ALTER DATABASE grown SET work_mem TO '1GB';\nALTER ROLE joe IN DATABASE grown SET search_path TO 'x';\n",
            A,
        ),
        "SHOW search_path",
        '"$user", public, topology',
        "left out: ALTER DATABASE grown SET work_mem; ALTER ROLE joe IN DATABASE grown SET search_path",
    ),
    "policies": (
        text(
            A,
            "CREATE POLICY p ON public.a FOR SELECT TO joe USING (true);\nCREATE POLICY q ON public.a USING (id > 0);\n",
            "ALTER TABLE public.a ENABLE ROW LEVEL SECURITY;\n",
        ),
        "SELECT string_agg(polname, ',') FROM pg_policy",
        "q",
        "left out: CREATE POLICY p ON public.a",
    ),
    "security labels": (
        text(A, "SECURITY LABEL FOR selinux ON TABLE public.a IS 'x';\n"),
        "SELECT id FROM a",
        "1",
        "left out: SECURITY LABEL FOR selinux",
    ),
    "triggers, tables and a schema of an extension the image lacks": (
        text(
            "CREATE EXTENSION IF NOT EXISTS timeseries WITH SCHEMA public;\n",
            A,
            "CREATE TABLE _chunks.a_1 (\n)\nINHERITS (public.a);\nCOPY _chunks.a_1 (id) FROM stdin;\n2\n\\.\n",
            "CREATE INDEX i ON _chunks.a_1 USING btree (id);\n",
            "CREATE TRIGGER t BEFORE INSERT ON public.a FOR EACH ROW EXECUTE FUNCTION _functions.refuse();\n",
        ),
        "SELECT id FROM a",
        "1",
        "left out: TRIGGER t; _chunks.a_1",
    ),
    "foreign servers and tables of an extension the image lacks": (
        text(
            "CREATE EXTENSION IF NOT EXISTS elsewhere_fdw WITH SCHEMA public;\n",
            "CREATE SERVER s FOREIGN DATA WRAPPER elsewhere_fdw OPTIONS (\n    host 'x'\n);\n",
            "CREATE FOREIGN TABLE public.f (\n    id integer\n)\nSERVER s\nOPTIONS (\n    \"table\" 'X'\n);\n",
            A,
        ),
        "SELECT id FROM a",
        "1",
        "left out: FOREIGN TABLE public.f; SERVER s",
    ),
    "a table access method": (text("SET default_table_access_method = columnar;\n", A), "SELECT id FROM a", "1", ""),
    "the language of old dumps": (
        text("CREATE OR REPLACE PROCEDURAL LANGUAGE plpgsql;\nALTER PROCEDURAL LANGUAGE plpgsql OWNER TO x;\n", A),
        "SELECT id FROM a",
        "1",
        "",
    ),
    "carriage returns": (
        text(A, "CREATE FUNCTION public.f() RETURNS integer LANGUAGE sql AS $$\nSELECT 2;\n$$;\n").replace(
            b"\n", b"\r\n"
        ),
        "SELECT id + f() FROM a",
        "3",
        "",
    ),
    "another encoding": (
        text("SET client_encoding = 'LATIN1';\nCREATE TABLE public.a (t text);\nCOPY public.a FROM stdin;\n").replace(
            END.encode(), b"\xe9\n\\.\n" + END.encode()
        ),
        "SELECT t FROM a",
        "é",
        "",
    ),
    "large objects": (
        text(
            A,
            "SELECT pg_catalog.lo_create('7');\nALTER LARGE OBJECT 7 OWNER TO joe;\nBEGIN;\n",
            "SELECT pg_catalog.lo_open('7', 131072);\nSELECT pg_catalog.lowrite(0, '\\x2a');\n",
            "SELECT pg_catalog.lo_close(0);\nCOMMIT;\n",
        ),
        "SELECT lo_get(7), pg_get_userbyid(lomowner) FROM pg_largeobject_metadata",
        "\\x2a|dhis",
        "",
    ),
}
# name -> (dump, what the message has)
REFUSED: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "UTF-16": (text(A).decode().encode("utf-16"), ("UTF-16", "pg_dump -f FILE DATABASE")),
    "UTF-16 without a byte order mark": (text(A).decode().encode("utf-16-le"), ("UTF-16",)),
    "UTF-16, big-endian": (text(A).decode().encode("utf-16-be"), ("UTF-16",)),
    "data only": (
        text("COPY public.a (id) FROM stdin;\n1\n\\.\n"),
        ("public.a", "(pg_dump --data-only)", "pg_dump -Fc -f"),
    ),
    "data only, without triggers": (
        text("ALTER TABLE public.a DISABLE TRIGGER ALL;\nCOPY public.a (id) FROM stdin;\n1\n\\.\n"),
        ("(pg_dump --data-only)",),
    ),
    "a locale the image lacks": (
        text('CREATE TABLE public.a (t text COLLATE pg_catalog."xx_YY");\n'),
        ("xx_YY", "databaseImage IMAGE, one that has this locale"),
    ),
    "data only, with INSERT": (text("INSERT INTO public.a VALUES (1);\n"), ("(pg_dump --data-only)",)),
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
