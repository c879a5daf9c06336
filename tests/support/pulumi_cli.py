"""The `pulumi` command."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CommandResult:
    """The exit code of a command, its standard output, and that followed by its standard error."""

    code: int
    stdout: str
    text: str


def run_pulumi(*arguments: str, folder: Path, environment: Mapping[str, str], seconds: float) -> CommandResult:
    """Run a pulumi command in a project's folder until it exits. Raises subprocess.TimeoutExpired."""
    done = subprocess.run(
        ["pulumi", "--non-interactive", "--color=never", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return CommandResult(done.returncode, done.stdout, done.stdout + done.stderr)
