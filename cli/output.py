"""What a verb prints and asks: its progress and its question on stderr, its result on stdout."""

import json
import sys

import typer

from cli.errors import CommandError


def progress(line: str) -> None:
    """Print what is being done."""
    print(line, file=sys.stderr, flush=True)


def result(text: str, value: object, as_json: bool) -> None:
    """Print what was done: as text for people, or as JSON for scripts."""
    print(json.dumps(value) if as_json else text, flush=True)


def confirm(question: str) -> None:
    """Ask a question. Raises CommandError where the answer is not yes, or where no terminal can answer."""
    try:
        confirmed = typer.confirm(question, err=True)
    except typer.Abort as error:
        raise CommandError("there was no answer, so nothing was changed. To be asked nothing: --yes") from error
    if not confirmed:
        raise CommandError("nothing was changed")
