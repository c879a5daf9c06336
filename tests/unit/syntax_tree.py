"""Python source as a syntax tree."""

import ast
import gc
from pathlib import Path


def syntax_tree(path: Path) -> ast.Module:
    """Parse a file while nothing is garbage collected.

    A future of another test that failed logs a traceback when it is collected, and to format that Python parses source
    again. CPython 3.11 ends the outer parse with a SystemError then (gh-106905).
    """
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"), str(path))
    finally:
        gc.enable()
