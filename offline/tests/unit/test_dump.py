"""The sample dump: the same bytes for the same options, and a text that PostgreSQL's own tools could have written."""

import gzip
import re
from pathlib import Path

import pytest

from offline.dump import copytext, schema
from offline.dump.__main__ import main
from offline.dump.facts import needed_months
from offline.dump.metadata import history, months
from offline.dump.people import DISTRICT_HASH
from offline.dump.sample import VALUES_PER_MONTH, Size, sample
from offline.dump.writer import Style

SMALL = Size(rows=1_000, tracked=10)
COPY = re.compile(r"^COPY public\.(\w+) \(([^)]*)\) FROM stdin;\n(.*?)^\\\.$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def text() -> str:
    """A small dump in the default style."""
    return "".join(sample(SMALL, Style()))


@pytest.fixture(scope="module")
def content(text: str) -> dict[str, list[dict[str, str]]]:
    """Rows of each table of the small dump, by column name."""
    blocks = {}
    for name, columns, lines in COPY.findall(text):
        rows = [line.split("\t") for line in lines.splitlines()]
        blocks[name] = [dict(zip(columns.split(", "), row, strict=True)) for row in rows]
    return blocks


@pytest.mark.parametrize("name", ["dump.sql.gz", "dump.sql"])
def test_the_same_options_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    outs = [tmp_path / "a" / name, tmp_path / "b" / name]
    for out in outs:
        out.parent.mkdir()
        assert main(["--rows", "500", "--scale", "0.01", str(out)]) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes(), "a cached dump is recognised by its hash"


def test_the_file_is_whole_gzip_without_time_or_name(tmp_path: Path) -> None:
    out = tmp_path / "dump.sql.gz"
    main(["--rows", "10", "--scale", "0", str(out)])
    assert gzip.decompress(out.read_bytes()).decode().endswith("\n\n"), "the stream ends properly"
    assert out.read_bytes()[3:8] == bytes(5), "no flags and no time in the header"


@pytest.mark.parametrize("rows", [0, 1, 999, 1_000, VALUES_PER_MONTH + 1])
def test_there_are_exactly_as_many_data_values_as_asked_for(rows: int) -> None:
    blocks = COPY.finditer("".join(sample(Size(rows=rows, tracked=0), Style())))
    counted = {block[1]: block[3].count("\n") for block in blocks}
    assert counted["datavalue"] == rows, "benchmarks name their size"


def test_more_data_values_do_not_move_the_rest() -> None:
    small, large = (COPY.findall("".join(sample(Size(rows=rows, tracked=10), Style()))) for rows in (100, 2_000))
    changed = {name for (name, _, one), (_, _, other) in zip(small, large, strict=True) if one != other}
    assert changed == {"datavalue"}, "tests compare databases of different sizes"


def test_no_data_value_comes_twice(content: dict[str, list[dict[str, str]]]) -> None:
    key = schema.tables()["datavalue"].key
    keys = {tuple(row[column] for column in key) for row in content["datavalue"]}
    assert len(keys) == SMALL.rows, "the primary key would refuse the dump"


def test_every_reference_has_its_target(content: dict[str, list[dict[str, str]]]) -> None:
    for table in schema.tables().values():
        for column in table.columns:
            if column.target:
                key = schema.tables()[column.target].key[0]
                known = {row[key] for row in content[column.target]} | {r"\N"}
                dangling = {row[column.name] for row in content[table.name]} - known
                assert not dangling, f"the foreign key {table.name}.{column.name} would refuse the dump"


def test_every_table_has_rows(content: dict[str, list[dict[str, str]]]) -> None:
    assert {name for name, rows in content.items() if not rows} == set(), "an empty table tests nothing"
    assert set(content) == set(schema.tables()), "each table has its COPY block"


def test_the_administrator_logs_in_with_the_demo_password(content: dict[str, list[dict[str, str]]]) -> None:
    admin = next(row for row in content["userinfo"] if row["username"] == "admin")
    assert admin["password"] == DISTRICT_HASH, "demo dumps have admin / district"
    assert re.fullmatch(r"\$2a\$10\$[./A-Za-z0-9]{53}", DISTRICT_HASH), "the form Spring's bcrypt reads"


def test_uids_are_dhis2_uids_and_unique(content: dict[str, list[dict[str, str]]]) -> None:
    for name, rows in content.items():
        uids = [row["uid"] for row in rows if "uid" in row]
        assert all(re.fullmatch("[A-Za-z][A-Za-z0-9]{10}", uid) for uid in uids), name
        assert len(set(uids)) == len(uids), f"{name}: DHIS2 looks objects up by uid"


def test_paths_lead_from_the_country_to_the_unit(content: dict[str, list[dict[str, str]]]) -> None:
    by_id = {row["organisationunitid"]: row for row in content["organisationunit"]}
    for row in by_id.values():
        parent = by_id.get(row["parentid"], {"path": ""})
        assert row["path"] == f"{parent['path']}/{row['uid']}", "analytics finds children by path"
        assert row["path"].count("/") == int(row["hierarchylevel"]), "level and path agree"


def test_the_text_is_ordered_as_pg_dump_orders_it(text: str) -> None:
    order = [r"\restrict ", "SET statement_timeout", "CREATE EXTENSION", "COMMENT ON EXTENSION", "CREATE TABLE"]
    order += ["CREATE SEQUENCE", "COPY ", "SELECT pg_catalog.setval", "ADD CONSTRAINT", "CREATE INDEX", "FOREIGN KEY"]
    order += ["PostgreSQL database dump complete", r"\unrestrict "]
    found = [text.index(part) for part in order]
    assert found == sorted(found), "programs that split a dump rely on it"
    assert text.rindex("COPY public.") < text.index("ADD CONSTRAINT"), "data is restored before keys and indexes"


def test_every_statement_has_its_heading(text: str) -> None:
    kinds = re.findall(r"^-- (?:Data for )?Name: .*; Type: ([A-Z ]+); Schema: .*; Owner: .*$", text, re.MULTILINE)
    tables = len(schema.tables())
    assert kinds.count("TABLE") == kinds.count("TABLE DATA") == tables, "progress is read from these lines"
    assert {"INDEX", "CONSTRAINT", "FK CONSTRAINT", "SEQUENCE SET", "EXTENSION", "COMMENT"} <= set(kinds)


def test_restrict_and_unrestrict_carry_the_same_token(text: str) -> None:
    tokens = re.findall(r"^\\(?:un)?restrict ([A-Za-z0-9]{63})$", text, re.MULTILINE)
    assert len(tokens) == len(set(tokens)) + 1 == 2, "psql refuses another one"


def test_names_of_constraints_and_indexes_are_unique(text: str) -> None:
    names = re.findall(r"ADD CONSTRAINT (\w+)|CREATE INDEX (\w+)", text)
    flat = ["".join(pair) for pair in names]
    assert len(flat) == len(set(flat)), "an index name is taken once in a schema"
    assert max(map(len, flat)) <= 63, "PostgreSQL would cut it"


@pytest.mark.parametrize("method", ["btree", "gin", "gist"])
def test_every_kind_of_index_is_there(method: str, text: str) -> None:
    assert f" USING {method} (" in text, "each is created by another command of a restore"


def test_a_plain_dump_names_no_role_and_drops_nothing(text: str) -> None:
    assert not re.search(r"OWNER TO|GRANT |^DROP ", text, re.MULTILINE), "made like pg_dump --no-owner --no-acl"


def test_a_clean_dump_drops_all_it_makes_and_names_unknown_roles(tmp_path: Path) -> None:
    out = tmp_path / "clean.sql"
    main(["--clean", "--rows", "1", "--scale", "0", str(out)])
    text = out.read_text()
    made = set(re.findall(r"^CREATE TABLE public\.(\w+)", text, re.MULTILINE))
    assert set(re.findall(r"^DROP TABLE public\.(\w+);", text, re.MULTILINE)) == made, "each table is dropped first"
    assert text.index("DROP TABLE") < text.index("CREATE TABLE"), "dropped before made"
    assert "DROP TABLE IF EXISTS" not in text, "pg_dump --clean alone writes none"
    assert text.count("OWNER TO dhis_elsewhere;") == len(made) + 1, "tables and the sequence"
    assert "GRANT SELECT ON TABLE public.datavalue TO dhis_elsewhere_reader;" in text


def test_an_interrupted_dump_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        yield "--\n"
        raise OSError("no space left")

    monkeypatch.setattr("offline.dump.__main__.sample", broken)
    with pytest.raises(OSError, match="no space left"):
        main([str(tmp_path / "dump.sql.gz")])
    assert not list(tmp_path.iterdir()), "the next run would use half a dump"


def test_negative_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["--rows", "-1", str(tmp_path / "x.sql")])


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, r"\N"),
        (True, "t"),
        (False, "f"),
        (0, "0"),
        ("a\tb\nc\\d", r"a\tb\nc\\d"),
        ({"note": 'say "x"\\'}, r'{"note": "say \\"x\\"\\\\"}'),
    ],
)
def test_values_are_written_as_copy_reads_them(value: object, written: str) -> None:
    assert copytext.field(value) == written, "an invalid escape shifts every column after it"


def test_a_row_with_a_missing_or_unknown_column_is_refused() -> None:
    table = schema.tables()["period"]
    with pytest.raises(ValueError, match=r"period: .* startdate, enddate"):
        list(copytext.lines(table, [{"periodid": 1}]))
    with pytest.raises(ValueError, match=r"period: .* colour"):
        list(copytext.lines(table, [{"periodid": 1, "startdate": "x", "enddate": "y", "colour": 1}]))


def test_geometry_is_ewkb_with_its_reference_system() -> None:
    assert copytext.point(1.0, 2.0) == "0101000020E6100000000000000000F03F0000000000000040", "as PostGIS prints it"


def test_an_invalid_line_in_the_table_file_is_named() -> None:
    with pytest.raises(ValueError, match=r"tables.txt: not a column: 'broken'"):
        schema.table("sample id\n  broken")


def test_months_run_up_to_the_newest_without_gaps() -> None:
    found = months(14)
    assert [str(found[0]), str(found[1]), str(found[-1])] == ["2025-09-01", "2025-10-01", "2026-10-01"]
    assert needed_months(100, 1_201) == 13, "the last, partly filled month counts"


def test_the_migration_history_is_complete_and_older_than_every_image() -> None:
    rows = history()
    assert [row["installed_rank"] for row in rows] == list(range(1, len(rows) + 1)), "Flyway reads it in this order"
    assert str(rows[-1]["version"]).startswith("2.41."), "an image refuses a database newer than itself"
    checksums = [row["checksum"] for row in rows[1:]]
    assert all(isinstance(one, int) and -(1 << 31) <= one < 1 << 31 for one in checksums), "a signed 32-bit column"
