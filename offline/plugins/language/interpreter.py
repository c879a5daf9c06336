"""Which Python runs the program: the virtual environment Pulumi.yaml names, else the one of this stand-in."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path


class InterpreterError(Exception):
    """There is no such virtual environment, or it cannot be made; the message names the command that mends it."""


def find(virtualenv: Path | None) -> Path:
    """Return the interpreter of a virtual environment; without one, the interpreter that runs this."""
    if virtualenv is None:
        return Path(sys.executable)
    python = virtualenv / "bin" / "python"
    if not python.exists():
        raise InterpreterError(
            f"The 'virtualenv' option in Pulumi.yaml is set to {str(virtualenv)!r}, but {str(virtualenv)!r} is not a"
            " virtual environment. Make it: pulumi install"
        )
    return python


def environment(python: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which `python` and what is installed beside it come first, as `activate` makes it."""
    folder = python.parent
    active = {name: value for name, value in given.items() if name != "PYTHONHOME"}
    active["PATH"] = os.pathsep.join([str(folder), given.get("PATH", os.defpath)])
    if (folder.parent / "pyvenv.cfg").exists():
        active["VIRTUAL_ENV"] = str(folder.parent)
    return active


def install(program: Path, virtualenv: Path | None) -> Iterator[bytes]:
    """Install a program's requirements.txt and yield pip's output; InterpreterError when pip fails."""
    if virtualenv is not None and not (virtualenv / "bin" / "python").exists():
        yield f"Creating virtual environment {virtualenv}...\n".encode()
        yield from _shown([sys.executable, "-m", "venv", str(virtualenv)])
    requirements = program / "requirements.txt"
    if requirements.exists():
        pip = [str(find(virtualenv)), "-m", "pip", "install", "--disable-pip-version-check"]
        yield from _shown([*pip, "-r", str(requirements)])


def _shown(command: list[str]) -> Iterator[bytes]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:  # noqa: S603 - pip and venv
        yield from child.stdout or ()
    if child.returncode:
        raise InterpreterError(f"`{' '.join(command)}` ended with {child.returncode}")
