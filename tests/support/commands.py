"""Commands inside a container, and what it has logged."""

from typing import cast

from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container

from components.orchestrator import commands
from components.orchestrator.commands import NOT_RUNNING


def execute(container: Container, *command: str) -> tuple[int, str]:
    """Return exit code and stripped output of a command in a container; NOT_RUNNING and the reason if it has exited."""
    try:
        code, output = commands.execute(cast(DockerClient, container.client), str(container.id), command)
    except APIError as error:
        return NOT_RUNNING, str(error.explanation)
    return code, output.strip()


def stdout_of(container: Container, *command: str) -> bytes:
    """Return what a command that must succeed in a container writes to stdout."""
    code, frames = commands.execute_frames(cast(DockerClient, container.client), str(container.id), command)
    assert code == 0, f"the command exited with {code}: {' '.join(command)}: {frames}"
    return b"".join(content for stream, content in frames if stream == commands.STDOUT)


def shell(container: Container, command: str) -> tuple[int, str]:
    """Return exit code and output of a shell command in a container."""
    return execute(container, "sh", "-c", command)


def shell_output(container: Container, command: str) -> str:
    """Return the output of a shell command that must succeed in a container."""
    code, output = shell(container, command)
    assert code == 0, f"the command exited with {code}: {command}: {output}"
    return output


def try_sql(container: Container, statement: str, database: str = "dhis") -> tuple[int, str]:
    """Return exit code and output of a statement that may fail, run as superuser over the unix socket."""
    psql = ("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", statement)
    return execute(container, *psql)


def sql(container: Container, statement: str, database: str = "dhis") -> str:
    """Return the result of a statement that must succeed, run as superuser over the unix socket."""
    code, output = try_sql(container, statement, database)
    assert code == 0, f"the statement failed: {statement}: {output}"
    return output


def logs(container: Container) -> str:
    """Return everything a container has logged."""
    return bytes(container.logs()).decode(errors="replace")
