"""Write tables and their content the way pg_dump 17 writes a plain SQL dump."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from offline.dump.objects import ALPHANUMERIC, random_of
from offline.dump.schema import Table, tables

EXTENSIONS = {
    "btree_gin": "support for indexing common datatypes in GIN",
    "pg_trgm": "text similarity measurement and index searching based on trigrams",
    "postgis": "PostGIS geometry and geography spatial types and functions",
}
SETTINGS = """\
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
"""
SEQUENCE = "hibernate_sequence"
IDENTIFIER_BYTES = 63


@dataclass(frozen=True)
class Style:
    """What pg_dump was asked for: `owner` is a role to name in OWNER and GRANT lines, `clean` drops before creating."""

    owner: str | None = None
    clean: bool = False


def dump(content: Mapping[str, Iterable[str]], last_id: int, style: Style) -> Iterator[str]:
    """Yield the whole dump; `content` has the COPY lines of each table, `last_id` goes to the sequence of ids."""
    token = "".join(random_of("restrict").choices(ALPHANUMERIC, k=63))
    yield f"--\n-- PostgreSQL database dump\n--\n\n\\restrict {token}\n\n"
    yield "-- Dumped from database version 17.12\n-- Dumped by pg_dump version 17.12\n\n"
    yield SETTINGS + "\n"
    schema = tables().values()
    if style.clean:
        yield from drops()
    yield from extensions()
    yield "SET default_tablespace = '';\n\nSET default_table_access_method = heap;\n\n"
    for table in schema:
        columns = ",\n".join(f"    {column.sql}" for column in table.columns)
        yield owned(table.name, "TABLE", f"CREATE TABLE public.{table.name} (\n{columns}\n);", style)
    start = "    START WITH 1\n    INCREMENT BY 1\n    NO MINVALUE\n    NO MAXVALUE\n    CACHE 1;"
    yield owned(SEQUENCE, "SEQUENCE", f"CREATE SEQUENCE public.{SEQUENCE}\n{start}", style)
    for table in schema:
        yield from copied(table, content.get(table.name, ()), style)
    setval = f"SELECT pg_catalog.setval('public.{SEQUENCE}', {last_id}, true);"
    yield entry(SEQUENCE, "SEQUENCE SET", setval, style)
    for name, kind, statement in [*constraints(), *indexes(), *references()]:
        yield entry(name, kind, statement, style)
    if style.owner:
        for name, kind in [*((name, "TABLE") for name in tables()), (SEQUENCE, "SEQUENCE")]:
            yield entry(
                f"{kind} {name}", "ACL", f"GRANT SELECT ON {kind} public.{name} TO {style.owner}_reader;", style
            )
    yield f"--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict {token}\n\n"


def entry(name: str, kind: str, statement: str, style: Style) -> str:
    """Return one statement under the heading pg_dump gives it."""
    return f"--\n-- Name: {name}; Type: {kind}; Schema: public; Owner: {style.owner or '-'}\n--\n\n{statement}\n\n\n"


def owned(name: str, kind: str, statement: str, style: Style) -> str:
    """Return a CREATE statement, with the OWNER line that follows it where owners are dumped."""
    change = f"\n\n\nALTER {kind} public.{name} OWNER TO {style.owner};" if style.owner else ""
    return entry(name, kind, statement + change, style)


def extensions() -> Iterator[str]:
    """Yield the extensions with their comments, which only a superuser may load."""
    for name, comment in EXTENSIONS.items():
        yield f"--\n-- Name: {name}; Type: EXTENSION; Schema: -; Owner: -\n--\n\n"
        yield f"CREATE EXTENSION IF NOT EXISTS {name} WITH SCHEMA public;\n\n\n"
        yield f"--\n-- Name: EXTENSION {name}; Type: COMMENT; Schema: -; Owner: \n--\n\n"
        yield f"COMMENT ON EXTENSION {name} IS '{comment}';\n\n\n"


def copied(table: Table, lines: Iterable[str], style: Style) -> Iterator[str]:
    """Yield the COPY block of one table."""
    names = ", ".join(column.name for column in table.copied)
    heading = (
        f"--\n-- Data for Name: {table.name}; Type: TABLE DATA; Schema: public; Owner: {style.owner or '-'}\n--\n\n"
    )
    yield f"{heading}COPY public.{table.name} ({names}) FROM stdin;\n"
    yield from lines
    yield "\\.\n\n\n"


def constraints() -> Iterator[tuple[str, str, str]]:
    """Yield (name, type, statement) of primary and unique keys."""
    for table in tables().values():
        keys = [(f"{table.name}_pkey", "PRIMARY KEY", table.key)] if table.key else []
        keys += [(f"uk_{table.name}_{'_'.join(columns)}", "UNIQUE", columns) for columns in table.uniques]
        for name, kind, columns in keys:
            change = f"    ADD CONSTRAINT {cut(name)} {kind} ({', '.join(columns)});"
            yield f"{table.name} {cut(name)}", "CONSTRAINT", f"ALTER TABLE ONLY public.{table.name}\n{change}"


def indexes() -> Iterator[tuple[str, str, str]]:
    """Yield (name, type, statement) of plain indexes."""
    for table in tables().values():
        for method, expression in table.indexes:
            words = "".join(letter if letter.isalnum() else " " for letter in expression.split(".")[0]).split()
            name = cut(f"in_{table.name}_{'_'.join(words)}_{method}")
            yield name, "INDEX", f"CREATE INDEX {name} ON public.{table.name} USING {method} {expression};"


def references() -> Iterator[tuple[str, str, str]]:
    """Yield (name, type, statement) of foreign keys."""
    for table in tables().values():
        for column in table.columns:
            if column.target:
                name = cut(f"fk_{table.name}_{column.name}")
                target = f"public.{column.target}({tables()[column.target].key[0]})"
                change = f"    ADD CONSTRAINT {name} FOREIGN KEY ({column.name}) REFERENCES {target};"
                yield f"{table.name} {name}", "FK CONSTRAINT", f"ALTER TABLE ONLY public.{table.name}\n{change}"


def drops() -> Iterator[str]:
    """Yield what pg_dump --clean begins with: everything dropped in reverse order, without IF EXISTS."""
    made = [*constraints(), *indexes(), *references()]
    for name, kind, _ in reversed(made):
        table, _, constraint = name.rpartition(" ")
        yield (
            f"DROP INDEX public.{name};\n"
            if kind == "INDEX"
            else (f"ALTER TABLE ONLY public.{table} DROP CONSTRAINT {constraint};\n")
        )
    yield f"DROP SEQUENCE public.{SEQUENCE};\n"
    for name in reversed(tables()):
        yield f"DROP TABLE public.{name};\n"
    for name in reversed(EXTENSIONS):
        yield f"DROP EXTENSION {name};\n"


def cut(name: str) -> str:
    """Shorten a name to what PostgreSQL keeps of it."""
    return name[:IDENTIFIER_BYTES]
