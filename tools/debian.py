"""Debian packages that a step needs: installed where that is possible, else named in one line."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Mapping

from tools.terminal import ToolError, attempt, capture, report

_apt = threading.Lock()  # steps run side by side, apt does not
_options = ("-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3")


def install(packages: Mapping[str, str]) -> None:
    """Install packages, with the purpose of each; ToolError with the command where that is not possible."""
    names = list(packages)
    purpose = " and ".join(dict.fromkeys(packages.values()))
    fix = f"sudo apt-get install -y {' '.join(names)}"
    if not shutil.which("apt-get"):
        raise ToolError(
            f"{purpose}: {', '.join(names)} missing, and this is no Debian. Install the equivalent of: {fix}"
        )
    if os.geteuid():
        raise ToolError(f"{purpose}: {', '.join(names)} missing, and only root can install it. Run: {fix}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _apt:
        started = time.monotonic()
        command = ["apt-get", *_options, "install", "-y", "-qq", "--no-install-recommends", *names]
        # The lists may be missing or name packages the mirror has replaced: then once more with new ones.
        if attempt(command, env).returncode:
            capture(["apt-get", *_options, "update", "-qq"], env)
            capture(command, env)
        report("debian", f"{' '.join(names)} installed for {purpose}", started)


def need(commands: Mapping[str, str], purpose: str) -> None:
    """Install the packages of those commands (command: package) that are missing."""
    missing = {package: purpose for command, package in commands.items() if not shutil.which(command)}
    if missing:
        install(missing)
