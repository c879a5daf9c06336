"""`dhis2-cluster logs -f`, as long as a test needs it."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.stack import Stack


@contextmanager
def followed(stack: Stack, *parts: str) -> Iterator[Callable[[], str]]:
    """Follow the logs of some parts, or of all; yield a function that returns what was printed."""
    path = stack.folder / "followed.log"
    with path.open("w") as output:
        process = subprocess.Popen(
            stack.command_line("logs", *parts, "-f", "-n", "0"),
            cwd=stack.folder,
            env=stack.command_environment,
            stdout=output,
        )
        try:
            yield path.read_text
        finally:
            process.terminate()
            process.wait()
