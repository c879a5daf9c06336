"""The executables the engine looks for on PATH: each starts one module here with this checkout's interpreter."""

import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = {
    "pulumi-language-python": "offline.plugins.language.host",
    "pulumi-language-python-exec": "offline.plugins.language.program",
    "pulumi-resource-docker": "offline.plugins.engine.provider",
    "pulumi-resource-random": "offline.plugins.randomness.provider",
}
# The engine starts plugins in the project's folder: nothing there may be taken for a module of theirs (-P).
LAUNCHER = """\
#!/bin/sh
# Stand-in, works only beside its checkout; made by: python -m offline.plugins install
exec {python} -P -c {start} "$@"
"""
START = "import sys; sys.path.insert(0, {root!r}); from {module} import main; sys.exit(main())"


def install(folder: Path) -> list[Path]:
    """Write all executables, each in one step so that a running engine never meets half a file; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, module in MODULES.items():
        part = folder / f".{name}.part"
        part.write_text(launcher(module))
        part.chmod(0o755)
        written.append(part.replace(folder / name))
    return written


def launcher(module: str) -> str:
    """Return the shell script that runs `main` of a module."""
    start = START.format(root=str(ROOT), module=module)
    return LAUNCHER.format(python=shlex.quote(sys.executable), start=shlex.quote(start))
