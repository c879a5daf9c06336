"""One way to wait for a condition. Timeouts bound a hang; no test asserts a time."""

import time
from collections.abc import Callable

from docker.models.containers import Container

from tests.support.commands import logs

TIMEOUT_SECONDS = 180.0
POLL_SECONDS = 0.1
# For a condition that runs a command in a container, which takes a twentieth of a second of processor time.
COMMAND_POLL_SECONDS = 0.4
TAIL_CHARACTERS = 3000


class WaitError(Exception):
    """Why a condition cannot become true, or that it did not in time."""


def until(
    condition: Callable[[], object],
    what: str,
    *,
    container: Container | None = None,
    seconds: float = TIMEOUT_SECONDS,
    pause: float = POLL_SECONDS,
    too_late: Callable[[], bool] = lambda: False,
) -> None:
    """Return as soon as `condition` is true, which is looked at again after `pause` seconds.

    Raises WaitError after `seconds`, when `too_late` becomes true, and when `container` exits, with its last log lines.
    """
    deadline = time.monotonic() + seconds
    while True:
        # Before the condition, which what happens last may make true.
        has_exited, is_late = container is not None and exited(container), too_late()
        if condition():
            return
        if has_exited:
            raise WaitError(f"the container exited while waiting for: {what}\n{_tail(container)}")
        if is_late:
            raise WaitError(f"too late for: {what}")
        if time.monotonic() > deadline:
            raise WaitError(f"timed out after {seconds:g} s waiting for: {what}\n{_tail(container)}")
        time.sleep(pause)


def until_logged(container: Container, text: str, after: int = 0) -> None:
    """Wait until a container has logged a text behind the first `after` characters of its log."""
    until(lambda: text in logs(container)[after:], f"'{text}' in the log", container=container)


def until_exited(container: Container) -> str:
    """Wait until a container has exited and return its log."""
    until(lambda: exited(container), "the container to exit")
    return logs(container)


def exited(container: Container) -> bool:
    """Return whether a container has exited."""
    container.reload()
    return bool(container.status == "exited")


def _tail(container: Container | None) -> str:
    return logs(container)[-TAIL_CHARACTERS:] if container is not None else ""
