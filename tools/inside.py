"""Command: python -m tools.inside <word>, the second half of `python -m tools`, in the virtual environment."""

from __future__ import annotations

import os
import sys

from tools import checks, deploy
from tools.terminal import INTERRUPTED, ToolError, report


def main(word: str) -> int:
    """Run one target and return its exit code."""
    try:
        if word == "lint":
            checks.lint()
            return 0
        if word in checks.TIERS:
            return checks.run(word, os.environ)
        session = deploy.Session(os.environ)
        return {"up": session.up, "down": session.down, "recover": session.recover}[word]()
    except ToolError as error:
        report("error", str(error))
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
