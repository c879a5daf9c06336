"""postgresql.conf and pg_hba.conf, checked by PostgreSQL itself."""

import pytest
from docker.models.containers import Container

from components.database import sizing
from components.templates.rendering import render
from tests.support.archive import packed
from tests.support.commands import shell, shell_output
from tests.support.containers import Containers
from tests.support.project import POSTGRES

pytestmark = pytest.mark.container


@pytest.fixture(scope="module")
def server(containers: Containers) -> Container:
    """Return a container with an empty database cluster and no server."""
    container = containers.start(POSTGRES, entrypoint=["sleep", "300"], user="999:999")
    shell_output(container, "initdb -D /tmp/cluster -U postgres -A trust --no-sync")
    return container


@pytest.mark.parametrize("memory_mb", [256, 512, 65536])
def test_postgresql_accepts_every_setting(server: Container, memory_mb: int) -> None:
    text = render("database/postgresql.conf.j2", **sizing.postgres(memory_mb))
    lines = [
        line.split(": ", 1)[1] if line.startswith(("#from 13: ", "#seed: ")) else line for line in text.splitlines()
    ]
    server.put_archive("/tmp", packed({"test.conf": "\n".join(lines) + "\n"}))  # noqa: S108
    names = {line.split(" = ")[0] for line in lines if line and not line.startswith("#")}
    asked = "; ".join(
        f"postgres -D /tmp/cluster -c config_file=/tmp/test.conf -C {name} >/tmp/out 2>&1 || cat /tmp/out"
        for name in ("shared_buffers", "max_slot_wal_keep_size", "hot_standby_feedback")
    )
    assert shell(server, asked)[1] == "", "postgres -C reads the whole file"
    assert {"max_connections", "wal_level", "hot_standby_feedback", "synchronous_commit"} <= names


def test_who_may_connect_is_written_as_postgresql_reads_it(server: Container) -> None:
    hba = render("database/pg_hba.conf")
    server.put_archive("/tmp", packed({"hba.conf": hba, "ident.conf": "server postgres postgres\n"}))  # noqa: S108
    start = (
        "pg_ctl -D /tmp/cluster -w -l /tmp/log start"
        " -o '-c hba_file=/tmp/hba.conf -c ident_file=/tmp/ident.conf -c unix_socket_directories=/tmp'"
    )
    shell_output(server, start)
    rules = "SELECT count(*), count(error), string_agg(DISTINCT auth_method, $$,$$) FROM pg_hba_file_rules"
    found = shell(server, f"psql -XAtqh /tmp -U postgres -c '{rules}'")[1]
    assert found == "5|0|peer,scram-sha-256,trust", "five rules, and whoever matches none is refused"
    trusted = "SELECT string_agg(address, $$,$$) FROM pg_hba_file_rules WHERE auth_method = $$trust$$"
    assert shell(server, f"psql -XAtqh /tmp -U postgres -c '{trusted}'")[1] == "127.0.0.1,::1", "only from inside"
