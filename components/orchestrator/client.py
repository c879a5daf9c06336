"""A Docker SDK client beside the plugin's connection: inspects, starts and stops containers, creates none."""

import os

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from components.orchestrator.ssh import open_connection

TIMEOUT_SECONDS = 60
# What a call can raise when Docker Engine cannot be reached; failures of the ssh command are OSErrors.
UNREACHABLE = (DockerException, RequestException, OSError)


def engine_address(docker_host: str | None) -> str:
    """Return the address messages name: the setting, DOCKER_HOST, or the local socket."""
    return docker_host or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def unreachable(docker_host: str | None, error: Exception) -> str:
    """Return the message for one of UNREACHABLE, with the command that fixes it."""
    reason = str(error).rstrip(".").rsplit("Caused by", 1)[-1]
    return f"Docker Engine at {engine_address(docker_host)} does not answer: {reason}. Start it (sudo systemctl start docker), or use another: pulumi config set dockerHost ssh://user@host"


def connect(docker_host: str | None, timeout_seconds: int = TIMEOUT_SECONDS) -> docker.DockerClient:
    """Return a client of the Docker Engine the plugin uses. Raises one of UNREACHABLE; ssh:// runs `ssh`."""
    address = engine_address(docker_host)
    ssh = address.startswith("ssh:")
    if ssh:
        open_connection(address)
    if docker_host:
        return docker.DockerClient(base_url=docker_host, use_ssh_client=ssh, timeout=timeout_seconds)
    return docker.from_env(use_ssh_client=ssh, timeout=timeout_seconds)
