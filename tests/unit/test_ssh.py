"""SSH to Docker Engine: one connection, opened again when sshd drops it; with an `ssh` that records how it is run."""

import asyncio
import os
import pwd
import shlex
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from components.orchestrator import readiness, ssh
from components.orchestrator.docker_watcher import DockerWatcher
from components.orchestrator.watcher import NotReady
from tests.support.program import Run

ADDRESS = "ssh://me@docker.example.org:2222"
DROPPED = "kex_exchange_identification: read: Connection reset by peer"


class Ssh:
    """An `ssh` on PATH that fails so many times with an error, and records its arguments."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self._log, self._failures = folder / "home", folder / "log", folder / "failures"
        (folder / "bin").mkdir()
        self.home.mkdir()
        self._failures.mkdir()
        script = f"""#!/bin/sh
printf '%s ' "$@" >>{self._log}; echo >>{self._log}
for file in {self._failures}/*; do [ -f "$file" ] || break; cat "$file" >&2; rm "$file"; exit 255; done
"""
        (folder / "bin" / "ssh").write_text(script)
        (folder / "bin" / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
        monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_dir=str(self.home)))
        monkeypatch.setattr(ssh, "LONGEST_HOME", 1000)
        monkeypatch.setattr(time, "sleep", lambda _: None)

    def fail(self, error: str, times: int) -> None:
        for number in range(times):
            (self._failures / str(number)).write_text(f"{error}\n")

    @property
    def runs(self) -> list[list[str]]:
        return [shlex.split(line) for line in self._log.read_text().splitlines()]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    """An `ssh` that succeeds, a user with a home directory, and no session in use or allowed by another test."""
    monkeypatch.setattr(ssh, "_sessions", threading.Semaphore(ssh.SESSIONS))
    return Ssh(tmp_path, monkeypatch)


def test_one_connection_is_shared(fake: Ssh) -> None:
    ssh.open_connection(ADDRESS)
    ssh.open_connection("ssh://docker.example.org")
    first, second = fake.runs
    options = dict(option.split("=") for option in first[1:8:2])
    assert options["ControlMaster"] == "auto" and options["ControlPath"].startswith("~/.ssh/"), "a private folder"
    assert first[8:] == ["-l", "me", "-p", "2222", "--", "docker.example.org", *["docker", "system", "dial-stdio"]]
    assert second[8:10] == ["--", "docker.example.org"], "user and port are those of the user's own configuration"
    assert (fake.home / ".ssh").stat().st_mode & 0o777 == 0o700, "ssh fails without the folder of its socket"


@pytest.mark.parametrize(
    "error",
    [
        DROPPED,
        "kex_exchange_identification: Connection closed by remote host",
        "ssh_exchange_identification: read: Connection reset by peer",
        "Connection closed by 192.0.2.1 port 22",
        "Connection timed out during banner exchange",
    ],
)
def test_a_connection_that_sshd_drops_is_opened_again(fake: Ssh, error: str) -> None:
    fake.fail(error, 4)
    ssh.open_connection(ADDRESS)
    assert len(fake.runs) == 5


def test_a_connection_that_is_always_dropped_is_reported(fake: Ssh) -> None:
    fake.fail(DROPPED, 100)
    with pytest.raises(ConnectionError, match="Connection reset by peer"):
        ssh.open_connection(ADDRESS)
    assert len(fake.runs) == ssh.ATTEMPTS


@pytest.mark.parametrize(
    "error",
    [
        "me@docker.example.org: Permission denied (publickey).",
        "Host key verification failed.",
        "ssh: Could not resolve hostname docker.example.org: Name or service not known",
        "ssh: connect to host docker.example.org port 22: Connection refused",
    ],
)
def test_what_does_not_recover_is_reported_at_once(fake: Ssh, error: str) -> None:
    fake.fail(error, 100)
    with pytest.raises(ConnectionError) as raised:
        ssh.open_connection(ADDRESS)
    assert str(raised.value) == error and len(fake.runs) == 1


def test_a_docker_command_that_fails_there_is_reported_by_the_request(fake: Ssh, tmp_path: Path) -> None:
    (tmp_path / "bin" / "ssh").write_text("#!/bin/sh\nexit 127\n")
    ssh.open_connection(ADDRESS)


@pytest.mark.parametrize("why", ["a home directory with a long name", "no folder for the socket"])
def test_without_a_place_for_its_socket_nothing_is_shared(fake: Ssh, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    if why.startswith("no"):
        (fake.home / ".ssh").write_text("not a folder")
    else:
        monkeypatch.setattr(ssh, "LONGEST_HOME", len(str(fake.home)) - 1)
    ssh.open_connection(ADDRESS)
    assert fake.runs[0][0] == "-l", "ssh would fail"


def test_the_longest_path_of_the_socket_is_one_that_ssh_can_use() -> None:
    path = "/" * ssh.LONGEST_HOME + ssh.SHARED["ControlPath"].removeprefix("~").replace("%C", "x" * 40)
    assert len(f"{path}.{'x' * 16}") <= 103, "of sun_path, on macOS"


def test_the_plugin_shares_a_connection_too(built: Run, fake: Ssh) -> None:
    (provider,) = built(dockerHost=ADDRESS).of("pulumi:providers:docker")
    assert '"ControlMaster=auto"' in str(provider.inputs["sshOpts"]).replace("'", '"')
    assert str(fake.home) not in str(provider.inputs), "the state is the same on each machine"


def test_a_docker_engine_without_ssh_has_no_options_of_ssh(built: Run) -> None:
    (provider,) = built(dockerHost="tcp://192.0.2.1:2376").of("pulumi:providers:docker")
    assert "sshOpts" not in provider.inputs


@pytest.mark.parametrize(("address", "calls"), [(ADDRESS, 2), ("unix:///var/run/docker.sock", 1)])
def test_a_request_whose_connection_is_dropped_is_sent_again_over_ssh(
    monkeypatch: pytest.MonkeyPatch, address: str, calls: int
) -> None:
    clients: list[str] = []

    def connect(docker_host: str) -> str:
        clients.append(docker_host)
        return f"client {len(clients)}"

    def act(client: str) -> str:
        if client == "client 1":
            raise requests.exceptions.ConnectionError("Remote end closed connection without response")
        return client

    monkeypatch.setattr(readiness, "connect", connect)
    watcher = DockerWatcher(address, 30, print)
    if calls == 1:
        with pytest.raises(NotReady):
            asyncio.run(watcher.run(act))  # type: ignore[arg-type]
    else:
        assert asyncio.run(watcher.run(act)) == "client 2"  # type: ignore[arg-type]
    assert clients == [address] * calls


def test_sessions_are_fewer_than_sshd_allows_in_one_connection(fake: Ssh, monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = [ssh._SharedSocket("there") for _ in range(ssh.SESSIONS)]
    for socket in sockets:
        socket.connect()
    assert not ssh._sessions.acquire(blocking=False), "beyond ten ssh opens connections of its own"
    for socket in sockets:
        socket.close()
        socket.close()
        assert isinstance(socket.proc, subprocess.Popen) is False
    assert ssh._sessions.acquire(blocking=False)
    ssh._sessions.release()


def test_a_log_that_is_followed_takes_no_session_of_other_requests(fake: Ssh) -> None:
    sockets = [ssh._SharedSocket("there") for _ in range(ssh.SESSIONS)]
    for socket in sockets:
        socket.connect()
    ssh.allow_session()
    assert ssh._sessions.acquire(blocking=False), "another request would wait for ever"
    for socket in sockets:
        socket.close()
