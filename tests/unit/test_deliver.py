"""Bringing a local dump to the engine, and running a fetch that failed once more."""

import io
import tarfile
import time
from pathlib import Path
from typing import IO, Any

import pulumi
import pytest
from docker.errors import NotFound

from components import deployment
from components.engine.deliver import CACHE, deliver, start_again
from components.engine.verdict import Goal
from components.engine.watch import Awaited
from tests.unit.program import PREFIX, FakeEngine, FakeWatcher, Run


class Engine(FakeEngine):
    """An engine whose fetch container is in this state, and that keeps what is delivered."""

    def __init__(self, status: str = "running", code: int = 0) -> None:
        """Nothing is delivered yet."""
        super().__init__()
        self.status, self.code = status, code
        self.delivered: list[tuple[tarfile.TarInfo, bytes]] = []
        self.folders: set[tuple[str, str]] = set()

    def inspect_container(self, name: str) -> dict[str, Any]:
        if not name.endswith("dump"):
            return super().inspect_container(name)
        if not self.status:
            raise NotFound(name)
        return {"State": {"Status": self.status, "ExitCode": self.code}}

    def put_archive(self, container: str, path: str, packed: bytes | IO[bytes]) -> None:
        self.folders.add((container, path))
        content = packed if isinstance(packed, bytes) else packed.read()
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive.getmembers():
                file = archive.extractfile(member)
                self.delivered.append((member, file.read() if file else b""))


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "dump.sql.gz"
    path.write_bytes(b"a dump")
    return path


def test_what_is_delivered_is_whole_the_fetchers_own_and_as_old_as_its_delivery(dump: Path) -> None:
    engine: Any = Engine()
    before = int(time.time())
    deliver(engine, "dump", dump, "5eed")
    entries = [entry for entry, _ in engine.delivered]
    assert [entry.name for entry in entries] == ["5eed.incoming", "5eed.delivered"], "the mark comes last"
    assert [content for _, content in engine.delivered] == [b"a dump", b""]
    assert all(entry.mtime >= before for entry in entries), "another stack's fetch removes what is a month old"
    assert {(entry.uid, entry.gid) for entry in entries} == {(101, 101)}, "the fetch container's user renames it"
    assert entries[0].mode == 0o644, "the database's user reads it"
    assert engine.folders == {("dump", CACHE)}


@pytest.mark.parametrize(
    ("status", "code", "runs", "done"),
    [
        ("exited", 1, True, ["start dump"]),
        ("exited", 0, False, []),
        ("running", 0, True, []),
        ("", 0, False, []),
    ],
    ids=["has failed", "has ended well", "is at it", "was tidied away"],
)
def test_only_a_fetch_that_has_failed_is_started_again(status: str, code: int, runs: bool, done: list[str]) -> None:
    engine: Any = Engine(status, code)
    assert start_again(engine, "dump") == runs, "what runs can take a dump"
    assert engine.done == done, "what is there is not fetched twice"


@pytest.mark.parametrize(
    ("status", "code", "names"),
    [("running", 0, ["incoming", "delivered"]), ("exited", 1, ["incoming", "delivered"]), ("exited", 0, [])],
)
def test_up_delivers_a_local_dump_to_a_fetch_that_runs(
    run: Run, dump: Path, status: str, code: int, names: list[str]
) -> None:
    waits: list[Awaited] = []
    watcher = FakeWatcher(engine=Engine(status, code), failing=waits.append)
    found = run(watcher=watcher, dumpUrl=str(dump)).container("dump")
    assert found.environment["DUMP_SOURCE"] == "file", "the fetch waits for what is delivered"
    assert "/opt/dhis2-cluster/secrets/dump-url" not in found.files
    assert isinstance(watcher.engine, Engine)
    key = found.environment["SEED_KEY"]
    assert [entry.name for entry, _ in watcher.engine.delivered] == [f"{key}.{name}" for name in names]
    fetch = [each for each in waits if each.container == f"{PREFIX}-dump"]
    assert [each.goal for each in fetch] == [Goal.FINISHED], "it ends, and has no health"
    assert fetch[0].what == "the dump dump.sql.gz", "a person who waits reads what for"


def test_nothing_is_delivered_to_a_fetch_from_the_web(run: Run) -> None:
    watcher = FakeWatcher(engine=Engine())
    found = run(watcher=watcher, dumpUrl="https://example.org/d.sql.gz").container("dump")
    assert found.environment["DUMP_SOURCE"] == "url", "the fetch would wait for a file"
    assert found.files["/opt/dhis2-cluster/secrets/dump-url"] == "https://example.org/d.sql.gz"
    assert isinstance(watcher.engine, Engine)
    assert not watcher.engine.delivered


def test_a_dump_that_cannot_be_read_ends_the_run_with_a_message(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied", "/srv/dump.sql.gz")

    monkeypatch.setattr(deployment, "seed_of", refuse)
    with pytest.raises(pulumi.RunError, match=r"Permission denied.*/srv/dump\.sql\.gz"):
        run()
