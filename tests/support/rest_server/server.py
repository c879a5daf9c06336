"""restic's REST server, for repositories of backups. A Go module pinned by go.mod."""

import base64
import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.go_programs import go_programs
from tests.support.ports import free_port, listens
from tests.support.waiting import until

PACKAGE = "github.com/restic/rest-server/cmd/rest-server"
FOLDER = Path(__file__).parent
USER = "keeper"


@contextmanager
def rest_server(folder: Path, address: str, password: str) -> Iterator[str]:
    """Yield host and port of a server on `address`, which keeps the repositories of USER in `folder`."""
    hashed = base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest()).decode()
    (folder / ".htpasswd").write_text(f"{USER}:{{SHA}}{hashed}\n")
    port = free_port(address)
    program = go_programs(FOLDER, PACKAGE)["rest-server"]
    command = [str(program), "--path", str(folder), "--listen", f"{address}:{port}", "--private-repos"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            until(lambda: listens(address, port), "the REST server to listen")
            yield f"{address}:{port}"
        finally:
            process.kill()
