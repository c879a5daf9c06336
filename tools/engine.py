"""Find a Docker Engine that answers, or start one where that is possible."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from components.orchestrator.client import UNREACHABLE, connect
from components.orchestrator.error_text import short
from tools import debian
from tools.docker_context import candidate_sockets, current_host
from tools.terminal import ToolError, attempt, capture, report

DEFAULT = "unix:///var/run/docker.sock"
LOG = Path("/var/log/dockerd.log")
PID = Path("/var/run/docker.pid")  # dockerd's own
START_SECONDS = 60
ANSWER_SECONDS = 10


def ensure(environment: Mapping[str, str], chosen: str = "") -> str:
    """Return the address of a Docker Engine that answers, starting the local one when none does.

    `chosen` is a stack's `dockerHost`; it, DOCKER_HOST or a context leave no alternative. Raises ToolError.
    """
    source, named = _named(environment, chosen)
    started = time.monotonic()
    tried: dict[str, str] = {}
    for host in [named] if named else candidate_sockets(environment):
        version, tried[host] = _version(host)
        if version:
            report("engine", f"Docker {version} at {host}" + (f", from {source}" if source else ""))
            return host
    if named:
        raise ToolError(
            f"Docker Engine at {named} ({source}) does not answer: {tried[named]}\n  Start it, or use another: unset {source.split()[0]}"
        )
    version = _wait(_start(tried[DEFAULT]))
    report("engine", f"Docker {version} started, log in {LOG}", started)
    return DEFAULT


def _named(environment: Mapping[str, str], chosen: str) -> tuple[str, str]:
    if chosen:
        return "dockerHost of the stack", chosen
    if environment.get("DOCKER_HOST"):
        return "DOCKER_HOST", environment["DOCKER_HOST"]
    host = current_host(environment)
    return ("DOCKER_CONTEXT or docker context", host) if host else ("", "")


def _version(host: str) -> tuple[str, str]:
    """Return (version, "") of the Docker Engine at an address, or ("", why it does not answer)."""
    if host.startswith("unix://"):
        path = host.removeprefix("unix://")
        try:
            # Faster and clearer than the SDK about a missing, dead or foreign socket.
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)
        except OSError as error:
            return "", str(error.strerror)
    try:
        return str(connect(host, ANSWER_SECONDS).version()["Version"]), ""  # type: ignore[no-untyped-call]
    except UNREACHABLE as error:
        return "", short(error)


def _start(reason: str) -> subprocess.Popen[bytes] | None:
    """Start the local Docker Engine, as root only; `reason` is why the default socket does not answer.

    Returns the process of dockerd, or None when systemd starts it.
    """
    if reason == "Permission denied":
        raise ToolError(
            f'Docker Engine runs, but this user may not use it ({DEFAULT}: {reason}).\n  Run: sudo usermod -aG docker "$USER" and log in again'
        )
    if os.geteuid():
        fix = "sudo systemctl start docker" if shutil.which("dockerd") else "sudo apt-get install -y docker.io"
        raise ToolError(f"no Docker Engine answers ({DEFAULT}: {reason}). Run: {fix}")
    _install()
    if Path("/run/systemd/system").exists():
        attempt(["systemctl", "start", "docker"])
        return None
    if _version(DEFAULT)[0] or _lives(PID):  # installing may have started it
        return None
    if not os.path.ismount("/sys/fs/cgroup"):  # without systemd it is not mounted
        capture(["mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"])
    with LOG.open("ab") as log:
        # In a session of its own: it outlives this command and its terminal.
        return subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _install() -> None:
    packages = {} if shutil.which("dockerd") else {"docker.io": "Docker Engine"}
    if _apparmor() and not shutil.which("apparmor_parser"):
        packages["apparmor"] = "AppArmor profiles"  # without it containers do not start; docker.io only suggests it
    if packages:
        debian.install(packages)
    if not shutil.which("docker"):
        # In newer releases of Debian the command is a package of its own; tests and users need it.
        debian.install({"docker-cli": "the docker command"})


def _wait(process: subprocess.Popen[bytes] | None) -> str:
    """Return the version of the Docker Engine that is starting; ToolError with the end of its log when it fails."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and (process is None or process.poll() is None):
        version, _ = _version(DEFAULT)
        if version:
            return version
        time.sleep(0.5)
    if process is None:
        raise ToolError("Docker Engine did not start. Its log: journalctl -u docker, or /var/log/docker.log")
    tail = LOG.read_text(errors="replace").splitlines()[-8:]
    raise ToolError("\n  ".join([f"Docker Engine did not start; the end of {LOG}:", *tail]))


def _lives(pid_file: Path) -> bool:
    try:
        return Path("/proc", pid_file.read_text().strip(), "comm").read_text().strip() == "dockerd"
    except OSError:
        return False


def _apparmor() -> bool:
    enabled = Path("/sys/module/apparmor/parameters/enabled")
    return enabled.exists() and enabled.read_text().strip() == "Y"
