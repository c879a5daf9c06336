"""The Docker client: the same Docker Engine as the plugin's, and the user's own ssh."""

from typing import Any

import docker
import pytest

from components.orchestrator import client
from components.orchestrator.client import connect, engine_address

LOCAL = "unix:///var/run/docker.sock"


@pytest.mark.parametrize(
    ("setting", "variable", "address"),
    [
        ("tcp://a:1", "tcp://b:1", "tcp://a:1"),
        (None, "tcp://b:1", "tcp://b:1"),
        (None, "", LOCAL),
        (None, None, LOCAL),
    ],
)
def test_messages_name_the_docker_engine_in_use(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, variable: str | None, address: str
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    if variable is not None:
        monkeypatch.setenv("DOCKER_HOST", variable)
    assert engine_address(setting) == address


@pytest.mark.parametrize(
    ("setting", "variable", "expected"),
    [
        ("ssh://me@there", "", {"base_url": "ssh://me@there", "use_ssh_client": True}),
        ("tcp://there:1", "ssh://me@there", {"base_url": "tcp://there:1", "use_ssh_client": False}),
        (None, "ssh://me@there", {"use_ssh_client": True}),
        (None, "", {"use_ssh_client": False}),
    ],
)
def test_ssh_addresses_use_the_ssh_command_with_a_timeout(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, variable: str, expected: dict[str, object]
) -> None:
    calls: list[dict[str, Any]] = []
    opened: list[str] = []
    monkeypatch.setenv("DOCKER_HOST", variable)
    monkeypatch.setattr(client, "open_connection", opened.append)
    for name in ("DockerClient", "from_env"):
        monkeypatch.setattr(docker, name, lambda **arguments: calls.append(arguments))
    connect(setting)
    (arguments,) = calls
    assert arguments.pop("timeout") >= 10, "a busy Docker Engine answers late"
    assert opened == (["ssh://me@there"] if arguments["use_ssh_client"] else []), "all requests share it"
    assert arguments == expected, "the `ssh` command has the user's keys and hosts, the library has not"
