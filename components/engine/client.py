"""A connection to the Docker engine beside the plugin's: looks at containers, starts them again, makes none."""

import os

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

TIMEOUT_SECONDS = 60
# What can go wrong between here and the engine; paramiko's and ssh's failures are OSErrors.
UNREACHABLE = (DockerException, RequestException, OSError)


def engine_address(docker_host: str | None) -> str:
    """The address messages name: the setting, DOCKER_HOST, or the local engine's socket."""
    return docker_host or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def connect(docker_host: str | None) -> docker.DockerClient:
    """A client of the engine the plugin talks to. Raises one of UNREACHABLE; ssh addresses use the `ssh` command."""
    if docker_host:
        ssh = docker_host.startswith("ssh:")
        return docker.DockerClient(base_url=docker_host, use_ssh_client=ssh, timeout=TIMEOUT_SECONDS)
    ssh = os.environ.get("DOCKER_HOST", "").startswith("ssh:")
    return docker.from_env(use_ssh_client=ssh, timeout=TIMEOUT_SECONDS)
