"""Docker Engine behind a real sshd that takes two connections at a time and drops the others."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from components.orchestrator import ssh
from components.orchestrator.client import connect
from components.orchestrator.commands import execute, read_log
from tests.support.commands import logs
from tests.support.containers import Containers
from tests.support.project import VALKEY
from tests.support.ssh_host import SshHost, ssh_host
from tests.support.waiting import until

pytestmark = pytest.mark.container


@pytest.fixture
def host(containers: Containers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshHost]:
    """A Docker host with sshd, which `ssh` on PATH has a key for."""
    with ssh_host(containers, tmp_path, monkeypatch) as started:
        yield started


def test_many_requests_at_once_share_one_connection(containers: Containers, host: SshHost) -> None:
    def requests(_: int) -> tuple[str, int, str]:
        client = connect(host.address)
        code, output = execute(client, str(host.container.name), ["echo", "hello"])
        return str(client.api.info()["ID"]), code, output

    with ThreadPoolExecutor(16) as pool:
        results = set(pool.map(requests, range(32)))
    assert results == {(str(containers.client.api.info()["ID"]), 0, "hello\n")}
    assert host.accepted() == 1, "more at a time are dropped"


def test_a_connection_that_sshd_drops_is_opened_again(host: SshHost) -> None:
    with ExitStack() as others, ThreadPoolExecutor(1) as pool:
        for _ in range(2):  # as MaxStartups
            other = others.enter_context(socket.create_connection((host.ip, 22), timeout=30))
            other.recv(64)
        client = pool.submit(connect, host.address)
        until(lambda: "drop connection" in logs(host.container), "sshd to drop one", container=host.container)
        assert not client.done()
        others.close()
        assert client.result().api.ping()


def test_after_the_connection_has_ended_another_is_opened(host: SshHost) -> None:
    client = connect(host.address)
    host.end_connection()
    assert client.api.ping()
    assert host.accepted() == 2


def test_logs_that_were_read_and_followed_keep_no_session_of_the_connection(
    containers: Containers, host: SshHost
) -> None:
    client = connect(host.address)
    writer = containers.start(VALKEY, entrypoint=["sh", "-c", "while echo line; do sleep 0.1; done"])
    until(lambda: "line" in logs(writer), "the writer to write", container=writer)
    for follow in (False, True):
        for _ in range(ssh.SESSIONS + 1):  # one more would wait for ever
            read = read_log(client, str(writer.id), since_seconds=0, tail="all", follow=follow)
            assert next(read).endswith(b" line\n")
            read.close()
    assert list(read_log(client, str(writer.id), since_seconds=0, tail="0", follow=False)) == []
    assert host.accepted() == 1
