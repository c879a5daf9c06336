"""Starts the program's process, interrupts it when the Pulumi engine asks for it, and answers how it ended."""

import json
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from pulumi.runtime.proto import language_pb2

from offline.plugins.grpc_server import Context

PROGRAM = Path(__file__).with_name("program.py")
LOGGED = 32  # exit code of a program that has logged its error itself
INTERRUPT_SECONDS = 5.0  # between SIGINT and SIGKILL


def arguments(request: language_pb2.RunRequest, engine_address: str) -> list[str]:
    """Return the arguments of program.py for a request; what is not set has the SDK's default."""
    settings = {
        "project": request.project,
        "root_directory": request.info.root_directory,
        "stack": request.stack,
        "parallel": request.parallel,
        "dry_run": request.dryRun,
        "monitor": request.monitor_address,
        "engine": engine_address,
        "organization": request.organization,
    }
    set_ones = {name: value for name, value in settings.items() if value}
    return [json.dumps(set_ones), request.info.entry_point, *request.args]


def response(code: int) -> language_pb2.RunResponse:
    """Return the answer for a program that ended with this exit code (negative: by a signal)."""
    if code == 0:
        return language_pb2.RunResponse()
    if code == LOGGED:
        return language_pb2.RunResponse(bail=True)
    # The real host counts a signal as -1.
    return language_pb2.RunResponse(error=f"program exited with non-zero exit code: {max(code, -1)}")


class ProgramRuns:
    """The programs that run now."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()

    def run(
        self, command: Sequence[str], folder: str, environment: Mapping[str, str], context: Context
    ) -> language_pb2.RunResponse:
        """Run a program in a folder until it ends, or until the Pulumi engine ends its request."""
        child = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603 - our program
        self._running.add(child)
        context.add_callback(lambda: self._interrupt(child))
        try:
            return response(child.wait())
        finally:
            self._running.discard(child)

    def interrupt_all(self) -> None:
        """Interrupt all programs without waiting for them."""
        for child in tuple(self._running):
            threading.Thread(target=self._interrupt, args=(child,), daemon=True).start()

    def _interrupt(self, child: subprocess.Popen[bytes]) -> None:
        try:
            self._running.remove(child)  # atomic: the Pulumi engine may both end its request and ask for a cancel
        except KeyError:
            return
        child.send_signal(signal.SIGINT)
        try:
            child.wait(INTERRUPT_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
