"""The virtual environment: created once, and again only when the requirements or the interpreter change."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tools import debian
from tools.paths import ROOT, VENV
from tools.terminal import ToolError, attempt, capture, report

PYTHON = VENV / "bin" / "python"
COMMAND = VENV / "bin" / "dhis2-cluster"
# A package of its own would be installed by pip, with a build backend from the network. Python's first path is the
# folder of the script, or with -c the current one: it is replaced by the checkout, so that nothing there is imported.
COMMAND_SCRIPT = """\
#!/bin/sh
# Written by tools/venv.py: runs cli/ of the checkout.
exec {python} -c 'import sys
sys.path[0] = sys.argv.pop(1)
from cli.app import main
sys.exit(main(sys.argv[1:]))' {root} "$@"
"""


def digest(requirements: Path, version: str) -> str:
    """Return what an installation depends on as one hash: the requirements, files they include, the interpreter."""
    hashed = hashlib.sha256(version.encode())
    for path in _with_includes(requirements):
        # Comments may change without a new installation.
        lines = (line.split("#", 1)[0].strip() for line in path.read_text().splitlines())
        hashed.update("\n".join(line for line in lines if line).encode())
    return hashed.hexdigest()


def ensure(name: str) -> Path:
    """Install requirements file `name` into .venv, unless it is installed, and return its interpreter."""
    started = time.monotonic()
    if attempt([PYTHON, "-c", "pass"]).returncode if PYTHON.exists() else True:
        _create()
    wanted = digest(ROOT / name, capture([PYTHON, "-c", "import sys; print(sys.version)"]))
    mark = VENV / f".installed-{name}"
    if not mark.exists() or mark.read_text() != wanted:
        report("python", f"installing {name} into {VENV.name}")
        pip: list[str | Path] = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        try:
            capture([*pip, "-r", name], env=_pip_environment(os.environ))
        except ToolError as error:
            raise ToolError(f"{error}\n  Is the package index reachable? Then try again: make") from error
        mark.write_text(wanted)
        report("python", f"{VENV.name} ready", started)
    _write_command()
    return PYTHON


def _write_command() -> None:
    """Make the command `dhis2-cluster` of the virtual environment, which `. ./activate` puts on PATH."""
    text = COMMAND_SCRIPT.format(python=shlex.quote(str(PYTHON)), root=shlex.quote(str(ROOT)))
    if not COMMAND.exists() or COMMAND.read_text() != text:
        COMMAND.write_text(text)
        COMMAND.chmod(0o755)


def _create() -> None:
    report("python", f"creating {VENV.name} with Python {sys.version.split()[0]}")
    make: list[str | Path] = [sys.executable, "-m", "venv", "--clear", VENV]
    if attempt([sys.executable, "-c", "import ensurepip"]).returncode:
        # Debian's own Python comes without what venv needs.
        debian.install({"python3-venv": "the virtual environment"})
    shutil.rmtree(VENV, ignore_errors=True)
    capture(make)


def _with_includes(requirements: Path) -> list[Path]:
    found = [requirements]
    for line in requirements.read_text().splitlines():
        if line.startswith("-r "):
            found += _with_includes(requirements.parent / line[3:].strip())
    return found


def _pip_environment(environment: Mapping[str, str]) -> dict[str, str]:
    # An active virtual environment or a user-wide target must not redirect the installation.
    return {name: value for name, value in environment.items() if name not in ("PIP_TARGET", "PIP_USER", "PIP_PREFIX")}
