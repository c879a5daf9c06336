"""A Docker Engine of its own that is a swarm of one node: the one that all other tests use stays out of any swarm."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

CONTROL_GROUPS = Path("/sys/fs/cgroup")
# With its own /run it meets neither the sockets nor the files of the machine's Docker Engine.
FIRST_PROCESS = """\
set -eu
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/lock
exec dockerd --data-root "$1/data" --exec-root /run/docker --pidfile /run/docker.pid --host "unix://$1/docker.sock" \
  --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$2"
"""
UNSHARE = ("unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--")
START_SECONDS = 60
POLL_SECONDS = 0.2


@contextmanager
def swarm_engine(folder: Path) -> Iterator[str]:
    """Start it and yield its address, as in DOCKER_HOST; nothing of it is left at the end.

    It has no network but its own: services reach each other, and nothing else.
    """
    name = f"fake-plugins-{secrets.token_hex(3)}"  # its control group: two of them may run at once
    command = [*UNSHARE, "sh", "-c", FIRST_PROCESS, "dockerd", str(folder), name]
    log = folder / "log"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            host = f"unix://{folder}/docker.sock"
            _initialise(host, process, log)
            yield host
        finally:
            process.send_signal(signal.SIGKILL)  # which ends all processes in its namespaces
    shutil.rmtree(folder / "data", ignore_errors=True)
    for group in (CONTROL_GROUPS / name, *CONTROL_GROUPS.glob(f"*/{name}")):  # one, or one a controller
        for path, *_ in os.walk(group, topdown=False):
            _remove(Path(path))


def _remove(control_group: Path) -> None:
    """Remove a control group; the processes in it have just been killed."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            control_group.rmdir()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(POLL_SECONDS)


def _initialise(host: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            client = docker.DockerClient(base_url=host)
            client.swarm.init(advertise_addr="127.0.0.1")
            client.close()  # type: ignore[no-untyped-call]
            return
        except (DockerException, RequestException):
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"dockerd did not become a swarm:\n{log.read_text()[-3000:]}") from None
            time.sleep(POLL_SECONDS)
