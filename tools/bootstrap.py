"""The part of `make` that needs no library: it creates the virtual environment and continues in it."""

from __future__ import annotations

import os

from tools import choices, cleaning, environment, venv
from tools.terminal import INTERRUPTED, ToolError, report

RUNTIME, DEVELOPMENT = "requirements.txt", "requirements-dev.txt"
NEEDS = {"up": RUNTIME, "down": RUNTIME, "recover": RUNTIME}


def run(word: str) -> int:
    """Run `clean` or `environment` here, every other target in the virtual environment; returns the exit code."""
    try:
        mode = choices.offline_mode(os.environ.get("OFFLINE", ""))  # refused before anything is created
        if word == "environment":
            print(environment.shell_lines(os.environ, mode))
        elif word == "clean":
            cleaning.clean()
        else:
            python = venv.ensure(NEEDS.get(word, DEVELOPMENT))
            os.execv(python, [str(python), "-m", "tools.inside", word])  # noqa: S606 - our own interpreter
    except ToolError as error:
        report("error", str(error))
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0
