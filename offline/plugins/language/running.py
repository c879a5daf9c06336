"""Starts programs, ends them when the engine says so, and words how they ended."""

import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from pulumi.runtime.proto import language_pb2

from offline.plugins.rpc import Context

PROGRAM = Path(__file__).with_name("program.py")
SHOWN = 32  # the program has told the person what is wrong: nothing is to be added
PATIENCE_SECONDS = 5.0


def arguments(request: language_pb2.RunRequest, engine_address: str) -> list[str]:
    """Return the program runner's command line for a request; what is not set is left out."""
    named = {
        "monitor": request.monitor_address,
        "engine": engine_address,
        "project": request.project,
        "root_directory": request.info.root_directory,
        "stack": request.stack,
        "pwd": request.pwd,
        "dry_run": "true" if request.dryRun else "false",
        "parallel": str(request.parallel),
        "organization": request.organization,
    }
    options = [part for name, value in named.items() if value for part in (f"--{name}", value)]
    return [*options, request.info.entry_point, *request.args]


def answer(code: int) -> language_pb2.RunResponse:
    """Return what the engine is told of a program that ended with this code (negative: by a signal)."""
    if code == 0:
        return language_pb2.RunResponse()
    if code == SHOWN:
        return language_pb2.RunResponse(bail=True)
    # The engine's own host counts a signal as -1.
    return language_pb2.RunResponse(error=f"program exited with non-zero exit code: {max(code, -1)}")


class Programs:
    """The programs that run now, by process."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def run(self, command: Sequence[str], environment: Mapping[str, str], context: Context) -> language_pb2.RunResponse:
        """Run one to its end, or to that of the engine's request."""
        child = subprocess.Popen(list(command), env=dict(environment), stdin=subprocess.DEVNULL)  # noqa: S603 - the project's program
        with self._lock:
            self._running.add(child)
        context.add_callback(lambda: self._interrupt(child))
        try:
            return answer(child.wait())
        finally:
            with self._lock:
                self._running.discard(child)

    def interrupt(self) -> None:
        """End all of them: as Ctrl-C does, and the hard way when that is not heard."""
        with self._lock:
            running = tuple(self._running)
        for child in running:
            threading.Thread(target=self._interrupt, args=(child,), daemon=True).start()

    def _interrupt(self, child: subprocess.Popen[bytes]) -> None:
        with self._lock:  # once, though the engine may both break the call off and ask for an end
            if child not in self._running:
                return
            self._running.remove(child)
        child.send_signal(signal.SIGINT)
        try:
            child.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
