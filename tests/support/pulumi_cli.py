"""Commands on this machine that run until they exit, `pulumi` above all."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# For the Go runtime of pulumi: one thread, and few garbage collections. Beside other tests a command takes a sixth less
# CPU time with them.
GO_RUNTIME = {"GOGC": "400", "GOMAXPROCS": "1"}


@dataclass(frozen=True)
class CommandResult:
    """The exit code of a command, its standard output, and that followed by its standard error."""

    code: int
    stdout: str
    text: str


def run_pulumi(*arguments: str, folder: Path, environment: Mapping[str, str], seconds: float) -> CommandResult:
    """Run a pulumi command in a project's folder until it exits. Raises subprocess.TimeoutExpired."""
    command = ("pulumi", "--non-interactive", "--color=never", *arguments)
    return run_command(command, folder=folder, environment={**GO_RUNTIME, **environment}, seconds=seconds)


def run_command(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], seconds: float, stdin: str | None = None
) -> CommandResult:
    """Run a command in a folder until it exits, with `stdin` as its input. Raises subprocess.TimeoutExpired."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return CommandResult(done.returncode, done.stdout, done.stdout + done.stderr)
