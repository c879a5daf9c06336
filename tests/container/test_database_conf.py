"""postgresql.conf and pg_hba.conf, checked by PostgreSQL itself."""

from collections.abc import Iterator

import pytest
from docker.models.containers import Container

from components.database import sizing
from components.templates.rendering import render
from tests.container.databases import POSTGRES, Engine, packed, shell

pytestmark = pytest.mark.container


@pytest.fixture(scope="module")
def server() -> Iterator[Container]:
    """A container with an empty cluster, nothing running."""
    engine = Engine()
    try:
        container = engine.run(POSTGRES, ["sleep", "300"], {}, user="999:999")
        code, said = shell(container, "initdb -D /tmp/cluster -U postgres -A trust --no-sync")
        assert code == 0, said
        yield container
    finally:
        engine.clear()


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
    code, said = shell(server, start)
    assert code == 0, said
    rules = "SELECT count(*), count(error), string_agg(DISTINCT auth_method, $$,$$) FROM pg_hba_file_rules"
    found = shell(server, f"psql -XAtqh /tmp -U postgres -c '{rules}'")[1]
    assert found == "5|0|peer,scram-sha-256,trust", "five rules, and whoever matches none is refused"
    trusted = "SELECT string_agg(address, $$,$$) FROM pg_hba_file_rules WHERE auth_method = $$trust$$"
    assert shell(server, f"psql -XAtqh /tmp -U postgres -c '{trusted}'")[1] == "127.0.0.1,::1", "only from inside"
