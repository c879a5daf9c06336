"""A Docker host with a real sshd, which takes two connections at a time and drops the others."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker.models.containers import Container

from components.orchestrator import ssh
from offline.images.builder import PROXY_VARIABLES, Builder
from tests.support.commands import logs, shell_output
from tests.support.containers import Containers
from tests.support.waiting import until

IMAGE = "dhis2-cluster/test-sshd"
SOURCES = Path(__file__).parent / "sshd"
KEY = "ssh-keygen -q -t ed25519 -N '' -f /root/key && mkdir -p /root/.ssh && cp /root/key.pub /root/.ssh/authorized_keys && cat /root/key"
WRAPPER = """#!/bin/sh
exec {ssh} -F {folder}/config "$@"
"""
CONFIG = """Host *
    IdentityFile {folder}/key
    IdentitiesOnly yes
    UserKnownHostsFile /dev/null
    StrictHostKeyChecking no
    LogLevel ERROR
"""


@dataclass(frozen=True)
class SshHost:
    """The container of sshd, and its IP address."""

    container: Container
    ip: str

    @property
    def address(self) -> str:
        """What dockerHost is set to."""
        return f"ssh://root@{self.ip}"

    def accepted(self) -> int:
        """Return how many connections sshd has accepted."""
        return logs(self.container).count("Accepted publickey")

    def end_connection(self) -> None:
        """End the shared connection."""
        command = ["ssh", *ssh.shared_options(), "-O", "exit", f"root@{self.ip}"]
        subprocess.run(command, check=False, capture_output=True)


def build_image(containers: Containers) -> None:
    """Build the image of sshd, where Docker Engine has not."""
    builder = Builder(containers.client)
    proxies = {name: os.environ[name] for name in PROXY_VARIABLES if name in os.environ}
    builder.build_one(IMAGE, SOURCES, {"BASE": builder.ensure_base(), **proxies}, {})


@contextmanager
def ssh_host(containers: Containers, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshHost]:
    """Start a Docker host, and put an `ssh` on PATH that has a key for it; `folder` keeps both."""
    command = shutil.which("ssh")
    if not command:
        pytest.skip("this machine has no ssh command: sudo apt-get install -y openssh-client")
    build_image(containers)
    mounts = {"/var/run/docker.sock": {"bind": "/var/run/docker.sock", "mode": "rw"}}
    # sshd needs its capabilities.
    container = containers.start(IMAGE, volumes=mounts, cap_drop=[], security_opt=[])
    until(lambda: "Server listening" in logs(container), "sshd to listen", container=container)
    files = {"key": shell_output(container, KEY) + "\n", "config": CONFIG.format(folder=folder)}
    files["ssh"] = WRAPPER.format(ssh=command, folder=folder)
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o700 if name == "ssh" else 0o600)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    host = SshHost(container, containers.address(container))
    yield host
    host.end_connection()
