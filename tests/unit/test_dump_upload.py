"""The upload of a local dump to the Docker Engine, and the restart of a failed fetch."""

import io
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pulumi
import pytest
from docker.errors import NotFound

from components import deployment
from components.orchestrator.container_state import Condition
from components.orchestrator.containers import restart_failed
from components.orchestrator.dump_upload import upload_dump
from components.orchestrator.watcher import DumpUpload, NotReady, WaitTarget
from tests.support.program import PREFIX, FakeEngine, FakeWatcher, Run


class Engine(FakeEngine):
    """An Engine whose fetch container is in this state, and that records uploads."""

    def __init__(self, status: str = "running", code: int = 0) -> None:
        """Take the state of the fetch container."""
        super().__init__()
        self.status, self.code = status, code
        self.uploaded: list[tuple[tarfile.TarInfo, bytes]] = []
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
                self.uploaded.append((member, file.read() if file else b""))


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "dump.sql.gz"
    path.write_bytes(b"a dump")
    return path


def upload(engine: Any, dump: Path, make_room: Callable[[int], list[str]] = lambda _: []) -> None:  # noqa: ANN401
    """Upload a dump to the container `dump` of a fake Docker Engine."""
    upload_dump(engine, "dump", DumpUpload(path=dump, folder="/cache", key="5eed", uid=101, make_room=make_room))


DISK = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 100 {} {} 50% /var/tmp"


@pytest.mark.parametrize(
    ("printed", "uploads"), [(DISK.format(100, 0), 0), (DISK.format(50, 50), 2), ("df: not found", 2)]
)
def test_a_dump_without_room_in_the_dump_cache_is_not_uploaded(dump: Path, printed: str, uploads: int) -> None:
    engine: Any = Engine()
    engine.printed = printed
    if uploads:
        upload(engine, dump)
    else:
        with pytest.raises(NotReady, match=r"needs 0 MB, and the disk .* has 0 MB free. Make room: docker system df"):
            upload(engine, dump)
    assert len(engine.uploaded) == uploads


def test_copies_in_the_dump_cache_make_room_for_a_dump(dump: Path) -> None:
    engine: Any = Engine()
    engine.printed = DISK.format(100, 0)

    def make_room(room_bytes: int) -> list[str]:
        engine.printed = DISK.format(50, 50)
        return ["free", str(room_bytes)]

    upload(engine, dump, make_room)
    assert ["free", "6"] in engine.executed and len(engine.uploaded) == 2


def test_an_upload_ends_with_its_marker_and_belongs_to_the_fetch_container(dump: Path) -> None:
    engine: Any = Engine()
    before = int(time.time())
    upload(engine, dump)
    entries = [entry for entry, _ in engine.uploaded]
    assert [entry.name for entry in entries] == ["5eed.incoming", "5eed.delivered"], "the marker comes last"
    assert [content for _, content in engine.uploaded] == [b"a dump", b""]
    assert all(entry.mtime >= before for entry in entries), "another stack's fetch removes what is a month old"
    assert {(entry.uid, entry.gid) for entry in entries} == {(101, 101)}, "the fetch container's user renames it"
    assert entries[0].mode == 0o644, "the database's user reads it"
    assert engine.folders == {("dump", "/cache")}


@pytest.mark.parametrize(
    ("status", "code", "runs", "done"),
    [
        ("exited", 1, True, ["start dump"]),
        ("exited", 0, False, []),
        ("running", 0, True, []),
        ("", 0, False, []),
    ],
    ids=["failed", "completed", "running", "pruned"],
)
def test_only_a_failed_fetch_is_restarted(status: str, code: int, runs: bool, done: list[str]) -> None:
    engine: Any = Engine(status, code)
    assert restart_failed(engine, "dump") == runs, "a running fetch takes an upload"
    assert engine.done == done, "a cached dump is not fetched twice"


@pytest.mark.parametrize(
    ("status", "code", "names"),
    [("running", 0, ["incoming", "delivered"]), ("exited", 1, ["incoming", "delivered"]), ("exited", 0, [])],
)
def test_up_uploads_a_local_dump_to_a_running_fetch(
    run: Run, dump: Path, status: str, code: int, names: list[str]
) -> None:
    waits: list[WaitTarget] = []
    watcher = FakeWatcher(engine=Engine(status, code), failing=waits.append)
    fetch_container = run(watcher=watcher, dumpUrl=str(dump)).container("dump")
    assert fetch_container.environment["DUMP_SOURCE"] == "file", "the fetch waits for the upload"
    assert "/opt/dhis2-cluster/secrets/dump-url" not in fetch_container.files
    assert isinstance(watcher.engine, Engine)
    key = fetch_container.environment["DUMP_KEY"]
    assert [entry.name for entry, _ in watcher.engine.uploaded] == [f"{key}.{name}" for name in names]
    fetch = [target for target in waits if target.container == f"{PREFIX}-dump"]
    assert [target.condition for target in fetch] == [Condition.SERVICE_COMPLETED_SUCCESSFULLY], (
        "it exits, unhealthchecked"
    )
    assert fetch[0].display_name == "the dump dump.sql.gz", "the progress report names it"


def test_nothing_is_uploaded_to_a_fetch_from_a_url(run: Run) -> None:
    watcher = FakeWatcher(engine=Engine())
    fetch_container = run(watcher=watcher, dumpUrl="https://example.org/d.sql.gz").container("dump")
    assert fetch_container.environment["DUMP_SOURCE"] == "url", "the fetch would wait for a file"
    assert fetch_container.files["/opt/dhis2-cluster/secrets/dump-url"] == "https://example.org/d.sql.gz"
    assert isinstance(watcher.engine, Engine)
    assert not watcher.engine.uploaded


def test_an_unreadable_dump_fails_the_run_without_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied", "/srv/dump.sql.gz")

    monkeypatch.setattr(deployment, "resolve_dump_source", refuse)
    with pytest.raises(pulumi.RunError, match=r"Permission denied.*/srv/dump\.sql\.gz"):
        run()
