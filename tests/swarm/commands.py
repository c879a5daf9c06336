"""Commands of this machine."""

import subprocess
from collections.abc import Sequence


def run(command: Sequence[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command; unless `check` is false, CalledProcessError with what it has printed when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        error = subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
        error.add_note((done.stdout + done.stderr).strip())
        raise error
    return done


def ip(*arguments: str) -> str:
    """Run iproute2's `ip` and return what it prints."""
    return run(["ip", *arguments]).stdout
