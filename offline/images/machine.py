"""What the builds share: a cache outside the checkout, locks, commands with errors that name their purpose."""

import fcntl
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

TAIL_LINES = 15


class OfflineError(Exception):
    """A build step that failed; the message names what is wrong, where, and the command that fixes it."""


def cache_folder(*parts: str) -> Path:
    """Return (and create) a folder of the cache that all checkouts share, also after Docker Engine was emptied."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(home, "dhis2-cluster", *parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the machine-wide lock `name`: of two builds of the same thing the second waits, then finds it finished."""
    with (cache_folder("locks") / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def unfinished(final: Path) -> Iterator[Path]:
    """Yield a path beside `final` that becomes `final` only when the block succeeds, and is removed otherwise.

    The caller holds a lock on `final`: what a killed process left beside it is removed.
    """
    for left in final.parent.glob(f"{final.name}.*.part"):
        left.unlink()
    part = final.with_name(f"{final.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(final)
    finally:
        part.unlink(missing_ok=True)


def keep_newest(folder: Path, pattern: str, number: int = 2) -> None:
    """Remove all but the newest files of a pattern; two, because two checkouts may be at different commits."""
    for path in sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)[:-number]:
        path.unlink()


def run(command: Sequence[str], purpose: str, hint: str = "", cwd: Path | None = None) -> str:
    """Run a command and return its standard output.

    Raises OfflineError naming `purpose`, the last lines the command wrote, and the `hint` that fixes it.
    """
    try:
        done = subprocess.run(  # noqa: S603 - commands are the project's own, never a user's text
            list(command), cwd=cwd, check=False, capture_output=True, text=True, errors="replace"
        )
    except FileNotFoundError as error:
        raise OfflineError(f"{purpose}: {command[0]} is not installed. {hint}".rstrip()) from error
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-TAIL_LINES:])
        raise OfflineError(f"{purpose}: {command[0]} exited with {done.returncode}:\n{tail}\n{hint}".rstrip())
    return done.stdout
