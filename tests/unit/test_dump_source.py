"""The identity of a dump: the key of its cached copy and of the database restored from it."""

from pathlib import Path

from components.dhis2.dump_source import DumpSource, resolve_dump_source
from components.dhis2.release import NO_DUMP, resolve_release
from tests.support.program import RANDOM_ID, Run


def source(address: str | Path) -> DumpSource:
    return resolve_dump_source(resolve_release("dev", None, str(address)))


def test_the_key_of_a_local_file_is_its_sha256(tmp_path: Path) -> None:
    one, other = tmp_path / "one.gz", tmp_path / "other.gz"
    one.write_bytes(b"1")
    other.write_bytes(b"1")
    first = source(one)
    assert first.key == source(other).key, "a copy under another name restores nothing again"
    assert (first.name, first.path, first.url) == ("one.gz", one, None), "messages show no local directories"
    one.write_bytes(b"2")
    assert source(one).key != first.key, "a changed file is another dump"


def test_a_path_is_resolved(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.gz").write_bytes(b"1")
    assert source(tmp_path / "folder" / ".." / "a.gz").path == tmp_path / "a.gz", "it is read later, from another place"


def test_the_key_of_a_url_covers_login_and_query() -> None:
    dump = source("https://me:secret@example.org/a.gz?v=1")
    assert dump.key != source("https://me:secret@example.org/a.gz?v=2").key, "another query is another dump"
    assert dump.key != source("https://example.org/a.gz").key
    assert (dump.name, dump.path) == ("https://example.org/a.gz", None)
    assert dump.url == "https://me:secret@example.org/a.gz?v=1", "the fetch needs the login"
    assert "secret" not in repr(dump)


def test_a_key_is_a_file_name_and_none_is_a_blank_database() -> None:
    assert len(source("https://example.org/a.gz").key) == 64
    assert source("none") == DumpSource(key=NO_DUMP, name=NO_DUMP)


def test_the_primary_restores_the_dump_that_is_fetched(built: Run) -> None:
    first, other = built(), built(dumpUrl="https://example.org/d.sql.gz")
    for recorded in (first, other):
        primary, fetch = recorded.container("primary").environment, recorded.container("dump").environment
        assert (fetch["DUMP_KEY"], fetch["DUMP_NAME"]) == (primary["DUMP_KEY"], primary["DUMP_NAME"])
        assert recorded.one(RANDOM_ID, "core-replacement").inputs["keepers"]["dump"] == primary["DUMP_KEY"]
    assert first.container("primary").environment != other.container("primary").environment, "it replaces the primary"
