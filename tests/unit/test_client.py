"""The connection to the engine: the same engine as the plugin's, and the person's own ssh."""

from typing import Any

import docker
import pytest

from components.engine.client import connect, engine_address

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
def test_messages_name_the_engine_that_is_used(
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
def test_ssh_is_the_persons_own_and_no_answer_ends(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, variable: str, expected: dict[str, object]
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setenv("DOCKER_HOST", variable)
    for name in ("DockerClient", "from_env"):
        monkeypatch.setattr(docker, name, lambda **given: asked.append(given))
    connect(setting)
    (given,) = asked
    assert given.pop("timeout") >= 10, "a busy engine takes its time"
    assert given == expected, "the `ssh` command knows the person's keys and hosts, the library does not"
