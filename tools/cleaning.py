"""`make clean`: remove everything created in the checkout, unless a deployed stack depends on it."""

from __future__ import annotations

import shutil

from tools.environment import own_stacks, refresh_git_status
from tools.paths import OFFLINE, PASSPHRASE, ROOT, STATE, TOOLS, VENV
from tools.stack_file import has_secret, without_idle_salt
from tools.terminal import ToolError, report

CACHES = (".pytest_cache", ".mypy_cache", ".ruff_cache", ".coverage", ".hypothesis")


def clean() -> None:
    """Remove tools, caches and empty state; ToolError, with nothing removed, while a stack still has resources.

    Its state and passphrase are the only record of the deployment; without them `make down` could not remove it.
    """
    live = {name: number for name, number in own_stacks().items() if number}
    if live:
        listed = ", ".join(f"{name} ({number} resources)" for name, number in live.items())
        commands = " && ".join(f"make down STACK={name}" for name in live)
        raise ToolError(
            f"not cleaned: still deployed from {STATE.name}: {listed}.\n  Only these files can remove them. First run: {commands}"
        )
    needed = [path.name for path in sorted(ROOT.glob("Pulumi.*.yaml")) if has_secret(path.read_text())]
    if needed and PASSPHRASE.exists():
        report("clean", f"{PASSPHRASE.name} is kept: without it the secrets cannot be read in {', '.join(needed)}")
    made = (VENV, TOOLS, OFFLINE, STATE, *(() if needed else (PASSPHRASE,)), *(ROOT / name for name in CACHES))
    for path in made:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.exists() or path.is_symlink():
            path.unlink()
        else:
            continue
        report("clean", path.name)
    for path in ROOT.glob("Pulumi.*.yaml"):  # a salt belongs to its passphrase, and no secret needs this one
        text = path.read_text()
        if without_idle_salt(text) != text:
            path.write_text(without_idle_salt(text))
    refresh_git_status()
