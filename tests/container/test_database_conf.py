"""postgresql.conf and pg_hba.conf, checked by PostgreSQL itself."""

import re

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
    # Lines such as `#from 13: name = value` are activated by the scripts; comments have a space after the hash.
    active = re.sub(r"^#\w[^:=]*: ", "", text, flags=re.MULTILINE)
    server.put_archive("/tmp", packed({"test.conf": active}))  # noqa: S108
    code, output = shell(server, "postgres -D /tmp/cluster -c config_file=/tmp/test.conf -C shared_buffers")
    assert code == 0, f"PostgreSQL reads the whole file and refuses a setting: {output}"


def test_postgresql_reads_every_rule_of_pg_hba_conf(server: Container) -> None:
    hba = render("database/pg_hba.conf")
    server.put_archive("/tmp", packed({"hba.conf": hba, "ident.conf": "server postgres postgres\n"}))  # noqa: S108
    start = (
        "pg_ctl -D /tmp/cluster -w -l /tmp/log start"
        " -o '-c hba_file=/tmp/hba.conf -c ident_file=/tmp/ident.conf -c unix_socket_directories=/tmp'"
    )
    shell_output(server, start)
    rules = "SELECT count(*), count(error), string_agg(DISTINCT auth_method, $$,$$) FROM pg_hba_file_rules"
    summary = shell(server, f"psql -XAtqh /tmp -U postgres -c '{rules}'")[1]
    assert summary == "7|0|peer,scram-sha-256,trust", "seven rules without an error; other connections are refused"
    trusted = "SELECT string_agg(address, $$,$$) FROM pg_hba_file_rules WHERE auth_method = $$trust$$"
    assert shell(server, f"psql -XAtqh /tmp -U postgres -c '{trusted}'")[1] == "127.0.0.1,::1", (
        "trust only inside the container"
    )
