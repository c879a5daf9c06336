"""Console output and subprocesses: one line per step, several steps side by side."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.paths import ROOT

TAIL_LINES = 15
INTERRUPTED = 130  # what shells report after Ctrl-C
WORTH_REPORTING_SECONDS = 2.0
_printing = threading.Lock()
_running: set[subprocess.Popen[str]] = set()
_aborted = threading.Event()  # a step failed, so this run ends: no other may start something long


class ToolError(Exception):
    """A step that failed; the message names what is wrong, where, and the command that fixes it."""


def report(topic: str, text: str, started: float | None = None) -> None:
    """Print one progress line; with `started` (time.monotonic) the seconds are added where they are worth reporting."""
    seconds = 0.0 if started is None else time.monotonic() - started
    with _printing:
        print(f"{topic:<8}  {text}" + (f" ({seconds:.0f} s)" if seconds >= WORTH_REPORTING_SECONDS else ""), flush=True)


def capture(command: Sequence[str | Path], env: Mapping[str, str] | None = None, stdin: str | None = None) -> str:
    """Run a command in the checkout and return its standard output.

    Raises ToolError with the last lines it wrote, or when there is no such command.
    """
    done = attempt(command, env, stdin)
    if done.returncode:
        raise ToolError(_failure(command, done.returncode, (done.stdout + done.stderr).splitlines()))
    return done.stdout


def attempt(
    command: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout or a folder, with `stdin` as its input; the caller evaluates its exit code."""
    try:
        return subprocess.run(
            [str(part) for part in command],
            cwd=folder or ROOT,
            env=env,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise ToolError(f"{command[0]} cannot be started: {error.strerror}") from error


def stream(topic: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
    """Run a command in the checkout and show its lines behind `topic`; ToolError when it fails."""
    with _child(command, env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        for line in child.stdout or ():
            report(topic, line.rstrip())
    if child.returncode:
        raise ToolError(_failure(command, child.returncode, []))


def ask(topic: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Path:
    """Run a command in the checkout, show its output, and return the path of the file it names, which is not shown."""
    answer: Path | None = None
    with _child(command, env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        for line in child.stdout or ():
            named = Path(line.strip())
            if named.is_absolute() and named.is_file():
                answer = named
            else:
                report(topic, line.rstrip())
    if child.returncode or not answer:
        raise ToolError(_failure(command, child.returncode, [] if answer else ["it printed no path of a file"]))
    return answer


def attached(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> int:
    """Run a command on this terminal and return its exit code, INTERRUPTED when it was stopped by Ctrl-C.

    An interrupt is the command's to handle: the first one lets pulumi finish what it is creating, and leaving before
    it would hide how it ended. A plain handler is used because an ignored signal would be ignored by the command too.
    """
    interrupts: list[int] = []
    with _child(command, env) as child:

        def forward(number: int, _frame: object) -> None:
            child.send_signal(number)

        before = {
            signal.SIGINT: signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number)),
            signal.SIGTERM: signal.signal(signal.SIGTERM, forward),
        }
        try:
            code = child.wait()
            return INTERRUPTED if code and interrupts else code
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def together(jobs: Mapping[str, Callable[[], None]]) -> None:
    """Run independent jobs side by side; the first failure ends the commands of the others and is raised."""
    failures: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # handed to the caller's thread, whatever it is
            failures.append(error)
            _aborted.set()
            for child in tuple(_running):
                child.terminate()

    threads = [threading.Thread(target=run, args=(job,), name=name) for name, job in jobs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@contextmanager
def _child(
    command: Sequence[str | Path], env: Mapping[str, str] | None, stdout: int | None = None, stderr: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    sys.stdout.flush()
    if _aborted.is_set():
        raise ToolError("not started, because another step failed")
    try:
        child = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env=env,
            stdout=stdout,
            stderr=stderr,
            stdin=subprocess.DEVNULL if stdout else None,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise ToolError(f"{command[0]} cannot be started: {error.strerror}") from error
    _running.add(child)
    if _aborted.is_set():  # in the moment since it was looked at
        child.terminate()
    try:
        yield child
        child.wait()
    finally:
        _running.discard(child)
        if child.poll() is None:
            child.terminate()
            child.wait()


def _failure(command: Sequence[str | Path], code: int, lines: Sequence[str]) -> str:
    shown = " ".join(Path(str(part)).name if index == 0 else str(part) for index, part in enumerate(command))
    tail = "\n".join(line for line in lines if line.strip()).splitlines()[-TAIL_LINES:]
    return "\n  ".join([f"`{shown}` exited with code {code}", *tail])
