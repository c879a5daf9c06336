"""What a verb prints: its progress on stderr, its result on stdout."""

import json
import sys


def progress(line: str) -> None:
    """Print what is being done."""
    print(line, file=sys.stderr, flush=True)


def result(text: str, value: object, as_json: bool) -> None:
    """Print what was done: as text for people, or as JSON for scripts."""
    print(json.dumps(value) if as_json else text, flush=True)
