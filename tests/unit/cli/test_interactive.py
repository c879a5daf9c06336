"""`dhis2-cluster psql`, `shell` and `open`: which command becomes this terminal's, on which Docker Engine."""

import os
import webbrowser
from pathlib import Path

import pytest

from tests.unit.cli.engine import CommandLine

SOCKET = ["psql", "-h", "/var/run/postgresql", "-U", "postgres"]


@pytest.fixture
def executed(command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that this process became, with a `docker` on PATH."""
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\n")
    docker.chmod(0o755)
    command_line.environment["PATH"] = str(tmp_path)
    became: list[list[str]] = []

    def execve(path: str, arguments: list[str], environment: dict[str, str]) -> None:
        became.append([*arguments[1:], f"on {environment['DOCKER_HOST']}"])
        raise SystemExit(0)

    monkeypatch.setattr(os, "execve", execve)
    return became


def test_psql_is_on_the_primary_in_dhis2_s_database(command_line: CommandLine, executed: list[list[str]]) -> None:
    command_line.run("psql")
    (command,) = executed
    assert command == ["exec", "-i", "dhis2-cluster-dev-primary", *SOCKET, "dhis", "on unix:///var/run/docker.sock"]


def test_psql_takes_a_replica_and_options(command_line: CommandLine, executed: list[list[str]]) -> None:
    command_line.run("psql", "replica-1", "--", "-Atc", "SELECT 1")
    command_line.run("psql", "--", "-l")
    assert executed[0][2:-1] == ["dhis2-cluster-dev-replica-1", *SOCKET, "-Atc", "SELECT 1", "dhis"]
    assert executed[1][2:-1] == ["dhis2-cluster-dev-primary", *SOCKET, "-l", "dhis"]


def test_psql_in_another_part_is_refused_with_the_servers(command_line: CommandLine, executed: list[list[str]]) -> None:
    assert command_line.run("psql", "cache") == 2
    assert "cache is no database server. Those of stack dev: primary, replica-1" in command_line.error
    assert not executed


def test_a_shell_is_bash_where_the_image_has_it(command_line: CommandLine, executed: list[list[str]]) -> None:
    command_line.run("shell", "lb")
    assert executed[0][2:4] == ["dhis2-cluster-dev-lb", "sh"]
    assert "exec bash || exec sh" in executed[0][5]


def test_a_command_runs_instead_of_a_shell(command_line: CommandLine, executed: list[list[str]]) -> None:
    command_line.run("shell", "core-1", "--", "ls", "-l")
    assert executed[0][2:-1] == ["dhis2-cluster-dev-core-1", "ls", "-l"]


def test_the_docker_command_uses_the_docker_engine_of_the_stack(
    command_line: CommandLine, executed: list[list[str]]
) -> None:
    command_line.settings["dockerHost"] = "ssh://me@docker.example.org"
    command_line.run("shell", "lb")
    assert executed[0][-1] == "on ssh://me@docker.example.org", "not that of the docker context"


def test_a_part_that_does_not_run_is_named_with_the_fix(command_line: CommandLine, executed: list[list[str]]) -> None:
    command_line.engine.parts["primary"]["State"]["Status"] = "exited"
    assert command_line.run("psql") == 2
    assert "primary is not running (exited). Start it: dhis2-cluster start -s dev" in command_line.error


def test_without_the_docker_command_its_package_is_named(command_line: CommandLine) -> None:
    command_line.environment["PATH"] = ""
    assert command_line.run("shell", "lb") == 2
    assert "sudo apt-get install -y docker-cli" in command_line.error


def test_open_opens_and_prints_the_address(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: not opened.append(url))  # type: ignore[func-returns-value]
    command_line.settings["baseUrl"] = "https://dhis2.example.org"
    assert command_line.run("open") == 0
    assert opened == ["https://dhis2.example.org"]
    assert command_line.out == "https://dhis2.example.org\n"


def test_the_loopback_address_of_another_machine_is_not_opened(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda _: pytest.fail("it would be another server's, or none"))
    command_line.settings["dockerHost"] = "ssh://me@docker.example.org"
    command_line.run("open")
    assert "ssh -L 8080:127.0.0.1:8080 me@docker.example.org" in command_line.out


def test_with_tls_the_port_of_https_is_forwarded(command_line: CommandLine) -> None:
    command_line.settings |= {"dockerHost": "ssh://me@docker.example.org", "tls": "selfSigned"}
    command_line.run("open")
    assert command_line.out.startswith("https://127.0.0.1:8443\n")
    assert "ssh -L 8443:127.0.0.1:8443 me@docker.example.org" in command_line.out
