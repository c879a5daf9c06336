"""What a dump is known by: the key of its cached copy and of the database loaded from it."""

from pathlib import Path

from components.release import resolve_release
from components.seed import BLANK, Seed, seed_of
from tests.unit.program import RANDOM_ID, Run


def seed(address: str | Path) -> Seed:
    return seed_of(resolve_release("dev", None, str(address)))


def test_a_local_file_is_known_by_its_content(tmp_path: Path) -> None:
    one, other = tmp_path / "one.gz", tmp_path / "other.gz"
    one.write_bytes(b"1")
    other.write_bytes(b"1")
    first = seed(one)
    assert first.key == seed(other).key, "a copy under another name loads nothing anew"
    assert (first.name, first.path, first.url) == ("one.gz", one, None), "folders of the person's are nobody's business"
    one.write_bytes(b"2")
    assert seed(one).key != first.key, "a changed file is another dump"


def test_a_path_is_made_whole(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.gz").write_bytes(b"1")
    assert seed(tmp_path / "folder" / ".." / "a.gz").path == tmp_path / "a.gz", "it is read later, from another place"


def test_a_web_address_is_known_by_all_of_it() -> None:
    found = seed("https://me:secret@example.org/a.gz?v=1")
    assert found.key != seed("https://me:secret@example.org/a.gz?v=2").key, "another query is another dump"
    assert found.key != seed("https://example.org/a.gz").key
    assert (found.name, found.path) == ("https://example.org/a.gz", None)
    assert found.url == "https://me:secret@example.org/a.gz?v=1", "the fetch needs the login"
    assert "secret" not in repr(found)


def test_keys_are_the_names_of_files_and_none_is_a_blank_database() -> None:
    assert len(seed("https://example.org/a.gz").key) == 64
    assert seed("none") == Seed(key=BLANK, name=BLANK)


def test_the_database_is_loaded_anew_for_another_dump_only(built: Run) -> None:
    first, other = built(), built(dumpUrl="https://example.org/d.sql.gz")
    for recorded in (first, other):
        primary = recorded.container("primary").environment
        assert recorded.one(RANDOM_ID, "seed").inputs["keepers"] == {"dump": primary["SEED_KEY"]}
        assert recorded.container("dump").environment["SEED_KEY"] == primary["SEED_KEY"], "what is fetched is loaded"
        assert recorded.container("dump").environment["SEED_NAME"] == primary["SEED_NAME"]
    assert first.one(RANDOM_ID, "seed").inputs != other.one(RANDOM_ID, "seed").inputs
