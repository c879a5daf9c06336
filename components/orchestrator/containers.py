"""Inspect, probe and restart single containers of a Docker Engine."""

from contextlib import suppress
from typing import Any

from docker import DockerClient
from docker.errors import APIError, NotFound

from components.orchestrator.commands import execute

DOCKER_STOP_TIMEOUT_SECONDS = 10  # Docker Engine's own


def inspect(client: DockerClient, name: str) -> dict[str, Any] | None:
    """Return a container's inspection; None when there is no container of that name."""
    with suppress(NotFound):
        return dict(client.api.inspect_container(name))
    return None


def log_lines(client: DockerClient, name: str, count: int) -> list[str]:
    """Return the last lines of a container's log without blank ones; none when there is no container of that name."""
    with suppress(NotFound):
        text = bytes(client.api.logs(name, tail=count)).decode(errors="replace")
        return [line for line in text.splitlines() if line.strip()]
    return []


def restart(client: DockerClient, name: str) -> None:
    """Have Docker Engine restart a container within the stop timeout it was created with."""
    config = (inspect(client, name) or {}).get("Config") or {}
    client.api.restart(name, timeout=int(config.get("StopTimeout") or DOCKER_STOP_TIMEOUT_SECONDS))


def probe(client: DockerClient, name: str, inspected: dict[str, Any]) -> tuple[bool, str]:
    """Return whether a container's healthcheck succeeds now, and what it prints."""
    try:
        code, output = execute(client, name, inspected["Config"]["Healthcheck"]["Test"][1:])
    except APIError as error:
        return False, str(error.explanation)  # it has just exited, and the next inspection has the reason
    return code == 0, output.strip()


def restart_failed(client: DockerClient, container: str) -> bool:
    """Restart a one-shot container that has failed before; tell whether it is running now."""
    state = (inspect(client, container) or {}).get("State") or {}
    if state.get("Status") == "exited" and state.get("ExitCode"):
        client.api.start(container)
        return True
    return state.get("Status") == "running"
