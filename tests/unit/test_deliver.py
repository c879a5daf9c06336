"""Bringing a local dump to the engine."""

import io
import tarfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

from components.engine.deliver import deliver


def test_what_is_delivered_is_as_old_as_its_delivery(tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql.gz"
    dump.write_bytes(b"a dump")
    entries: list[tarfile.TarInfo] = []

    def put_archive(container: str, path: str, packed: bytes | IO[bytes]) -> None:
        content = packed if isinstance(packed, bytes) else packed.read()
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            entries.extend(archive.getmembers())

    client: Any = SimpleNamespace(api=SimpleNamespace(put_archive=put_archive))
    before = int(time.time())
    deliver(client, "dump", dump, "5eed")
    assert [entry.name for entry in entries] == ["5eed.incoming", "5eed.delivered"]
    assert all(entry.mtime >= before for entry in entries), "another stack's fetch removes what is a month old"
