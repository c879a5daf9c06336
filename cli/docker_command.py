"""Commands in a container on this terminal, or with an input: what the docker SDK cannot do, by the docker command."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

from cli.errors import CommandError
from cli.parts import Part
from cli.target import Target
from components.orchestrator.client import engine_address


def attach(target: Target, part: Part, command: Sequence[str]) -> NoReturn:
    """Become a command in a container: its input, output, signals and exit code are this process's own."""
    terminal = "-it" if sys.stdin.isatty() and sys.stdout.isatty() else "-i"
    arguments = [_docker(target), "exec", terminal, part.container, *command]
    sys.stdout.flush()
    os.execve(arguments[0], arguments, _environment(target))  # noqa: S606 - no shell wanted


def pipe(target: Target, part: Part, command: Sequence[str], stdin: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a container with an input, which is on no command line and in no environment."""
    return subprocess.run(
        [_docker(target), "exec", "-i", part.container, *command],
        env=_environment(target),
        input=stdin,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def follow(target: Target, part: Part, command: Sequence[str]) -> tuple[int, str]:
    """Run a command in a container with its progress on stderr, and return its exit code and its output."""
    done = subprocess.run(
        [_docker(target), "exec", part.container, *command],
        env=_environment(target),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout.strip()


def transfer(source: tuple[Target, Part], destination: tuple[Target, Part], names: Sequence[str]) -> str:
    """Copy folders, named relative to the root, from one container to another; return why that failed, or nothing."""
    (reads, sender), (writes, receiver) = source, destination
    pack = [_docker(reads), "exec", sender.container, "tar", "-C", "/", "-cf", "-", *names]
    unpack = [_docker(writes), "exec", "-i", receiver.container, "tar", "-C", "/", "-xf", "-"]
    with subprocess.Popen(pack, env=_environment(reads), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as packing:
        done = subprocess.run(
            unpack,
            env=_environment(writes),
            stdin=packing.stdout,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        _, reason = packing.communicate()
    if done.returncode or packing.returncode:
        return done.stderr.strip() or reason.decode(errors="replace").strip() or "tar failed"
    return ""


def _docker(target: Target) -> str:
    path = shutil.which("docker", path=target.environment.get("PATH"))
    if not path:
        raise CommandError(
            "the docker command is not on PATH, and this verb runs `docker exec` with it. Install it, on Debian: sudo apt-get install -y docker-cli"
        )
    return path


def _environment(target: Target) -> dict[str, str]:
    # The docker command would use its own context; the program uses this one.
    return {**target.environment, "DOCKER_HOST": engine_address(target.docker_host)}
