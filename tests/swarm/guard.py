"""Command: python -m tests.swarm.guard INDEX. Removes a run after its process, however that has ended.

It waits for the end of its standard input, which the process of the run holds open. Where the guard is killed, too, the
next run removes what is left.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.project import ROOT
from tests.support.waiting import WaitError, until
from tests.swarm.runs import Run

# The kernel closes the files of a process that ends one after the other.
LOCK_SECONDS = 5


@contextmanager
def guarded(run: Run) -> Iterator[subprocess.Popen[bytes]]:
    """Have a guard of a run as long as the context is open."""
    command = [sys.executable, "-m", "tests.swarm.guard", str(run.index)]
    # In a session of its own: what kills the process of the run and its group does not kill it.
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True) as guard:
        yield guard  # leaving closes its standard input and waits for it


def main(index: int) -> None:
    """Wait for the end of the process that has started this one, and remove its run."""
    sys.stdin.read()
    with suppress(WaitError):  # another run has the index by now: it has removed what was left
        until(lambda: _removed(index), f"the lock of run {index}", seconds=LOCK_SECONDS)


def _removed(index: int) -> bool:
    run = Run(index).locked()
    if run:
        run.remove()
        run.release()
    return run is not None


if __name__ == "__main__":
    main(int(sys.argv[1]))
