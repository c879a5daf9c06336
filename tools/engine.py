"""Finds a Docker engine that answers, or starts one where that is possible."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from components.orchestrator.error_text import short
from tools import debian
from tools.docker_context import candidate_sockets, current_host
from tools.terminal import ToolError, attempt, capture, say

DEFAULT = "unix:///var/run/docker.sock"
LOG = Path("/var/log/dockerd.log")
PID = Path("/var/run/docker.pid")  # dockerd's own
START_SECONDS = 60
ANSWER_SECONDS = 10


def ensure(environment: Mapping[str, str], chosen: str = "") -> str:
    """Return the address of an engine that answers, starting the machine's own when none does.

    `chosen` is a stack's `dockerHost`; it, DOCKER_HOST or a context leave no alternative. Raises ToolError with what
    mends it.
    """
    source, named = _named(environment, chosen)
    started = time.monotonic()
    tried: dict[str, str] = {}
    for host in [named] if named else candidate_sockets(environment):
        version, tried[host] = _version(host)
        if version:
            say("engine", f"Docker {version} at {host}" + (f", from {source}" if source else ""))
            return host
    if named:
        raise ToolError(
            f"the Docker engine at {named} ({source}) does not answer: {tried[named]}\n"
            f"  Start it, or choose another: unset {source.split()[0]}"
        )
    version = _wait(_start(tried[DEFAULT]))
    say("engine", f"Docker {version} started, log in {LOG}", started)
    return DEFAULT


def _named(environment: Mapping[str, str], chosen: str) -> tuple[str, str]:
    if chosen:
        return "dockerHost of the stack", chosen
    if environment.get("DOCKER_HOST"):
        return "DOCKER_HOST", environment["DOCKER_HOST"]
    host = current_host(environment)
    return ("DOCKER_CONTEXT or docker context", host) if host else ("", "")


def _version(host: str) -> tuple[str, str]:
    """Return (version, "") of the engine at an address, or ("", why it does not answer)."""
    if host.startswith("unix://"):
        path = host.removeprefix("unix://")
        try:
            # Quicker and clearer than the SDK about a socket that is absent, dead or another user's.
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)
        except OSError as error:
            return "", str(error.strerror)
    try:
        client = docker.DockerClient(base_url=host, timeout=ANSWER_SECONDS, use_ssh_client=host.startswith("ssh:"))
        return str(client.version()["Version"]), ""  # type: ignore[no-untyped-call]
    except (DockerException, RequestException, OSError) as error:
        return "", short(error)


def _start(reason: str) -> subprocess.Popen[bytes] | None:
    """Start this machine's own engine, as root only; `reason` is why the default socket does not answer.

    Returns the engine's process, or None when the system starts it.
    """
    if reason == "Permission denied":
        raise ToolError(
            f"a Docker engine runs, but this user may not use it ({DEFAULT}: {reason}).\n"
            '  Run: sudo usermod -aG docker "$USER" and log in again'
        )
    if os.geteuid():
        mend = "sudo systemctl start docker" if shutil.which("dockerd") else "sudo apt-get install -y docker.io"
        raise ToolError(f"no Docker engine answers ({DEFAULT}: {reason}). Run: {mend}")
    _install()
    if Path("/run/systemd/system").exists():
        attempt(["systemctl", "start", "docker"])
        return None
    if _version(DEFAULT)[0] or _lives(PID):  # installing may have started it
        return None
    if not os.path.ismount("/sys/fs/cgroup"):  # left to its users where there is no systemd
        capture(["mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"])
    with LOG.open("ab") as log:
        # In a session of its own: it is the machine's, and outlives this command and its terminal.
        return subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _install() -> None:
    packages = {} if shutil.which("dockerd") else {"docker.io": "a Docker engine"}
    if _apparmor() and not shutil.which("apparmor_parser"):
        packages["apparmor"] = "the engine's profiles"  # without it containers do not start; docker.io only suggests it
    if packages:
        debian.install(packages)
    if not shutil.which("docker"):
        # In newer releases of Debian the command is a package of its own; the tests and people use it.
        debian.install({"docker-cli": "the docker command"})


def _wait(process: subprocess.Popen[bytes] | None) -> str:
    """Return the version of the engine that is starting; ToolError with the end of its log when it does not."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and (process is None or process.poll() is None):
        version, _ = _version(DEFAULT)
        if version:
            return version
        time.sleep(0.5)
    if process is None:
        raise ToolError("the Docker engine did not start. See why: journalctl -u docker, or /var/log/docker.log")
    tail = LOG.read_text(errors="replace").splitlines()[-8:]
    raise ToolError("\n  ".join([f"the Docker engine did not start; the end of {LOG}:", *tail]))


def _lives(pid_file: Path) -> bool:
    try:
        return Path("/proc", pid_file.read_text().strip(), "comm").read_text().strip() == "dockerd"
    except OSError:
        return False


def _apparmor() -> bool:
    enabled = Path("/sys/module/apparmor/parameters/enabled")
    return enabled.exists() and enabled.read_text().strip() == "Y"
