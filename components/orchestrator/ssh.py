"""SSH to a Docker Engine on another machine: one connection, opened with retries, that all requests share.

The plugin and the SDK start an `ssh` for each request, many at a time, and sshd drops what is beyond its MaxStartups.
"""

import os
import pwd
import random
import re
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from docker.transport import sshconn

ATTEMPTS, LONGEST_PAUSE_SECONDS, TIMEOUT_SECONDS, CLOSE_SECONDS = 10, 5.0, 60, 5
DIAL = "docker system dial-stdio"
# The same text on each machine, because it is in Pulumi's state; ssh itself expands it. It ends the connection when
# nothing has used it for a minute, or when the other machine has been silent for 45 seconds.
SHARED = {
    "ControlMaster": "auto",
    "ControlPath": "~/.ssh/dhis2-%C",
    "ControlPersist": "60",
    "ServerAliveInterval": "15",
}
# Home directory, /.ssh/dhis2-, a hash of 40 characters, and 17 that ssh appends for a moment: at most 103 (macOS).
LONGEST_HOME = 34
SESSIONS = 3
"""Of the ten that sshd allows in one connection (MaxSessions). The plugin has the others; beyond ten `ssh` opens a
connection of its own."""
_sessions = threading.Semaphore(SESSIONS)
_opening = threading.Lock()
_DROPPED = re.compile(r"exchange_identification|banner|Connection (closed|reset) by|Not allowed at this time")


def shared_options() -> list[str]:
    """Return the options of `ssh` that share one connection; none where the user's ~/.ssh cannot have its socket."""
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir  # where ssh expands ~, whatever HOME is
        folder = Path(home, ".ssh")
        folder.mkdir(mode=0o700, exist_ok=True)
    except (KeyError, OSError):
        return []
    usable = len(home) <= LONGEST_HOME and os.access(folder, os.W_OK | os.X_OK)
    return [text for name, value in SHARED.items() for text in ("-o", f"{name}={value}")] if usable else []


def allow_session() -> None:
    """Allow one session more at the same time: for a response without an end, such as a log that is followed."""
    _sessions.release()


def open_connection(address: str) -> None:
    """Open the shared connection to an ssh:// address, or find it open. Raises ConnectionError when that fails."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with _opening, _sessions:  # one at a time, or each would open a connection
                run = subprocess.run(  # noqa: S603 - no shell; ends at once, with its stdin
                    _command(address),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=TIMEOUT_SECONDS,
                    check=False,
                )
        except subprocess.TimeoutExpired:
            raise ConnectionError(f"no answer within {TIMEOUT_SECONDS} s") from None
        if run.returncode != 255:  # noqa: PLR2004 - ssh's own error; else the exit code is that of the command
            return
        reason = run.stderr.decode(errors="replace").strip()
        if attempt == ATTEMPTS or not _DROPPED.search(reason):
            raise ConnectionError(reason.splitlines()[-1] if reason else "ssh failed")
        # Clients that were dropped at the same time must not come back at the same time.
        time.sleep(random.uniform(0.1, min(LONGEST_PAUSE_SECONDS, 0.2 * 2**attempt)))  # noqa: S311


def _command(address: str) -> list[str]:
    parts = urlsplit(address)
    user = ["-l", parts.username] if parts.username else []
    port = ["-p", str(parts.port)] if parts.port else []
    return ["ssh", *shared_options(), *user, *port, "--", parts.hostname or "", DIAL]


class _SharedSocket(sshconn.SSHSocket):
    """What the SDK takes for a socket: an `ssh` that uses the shared connection."""

    def __init__(self, host: str) -> None:
        super().__init__("")
        self._command = _command(f"ssh://{host}")

    def connect(self, **_: object) -> None:  # type: ignore[override] # as in the SDK
        _sessions.acquire()
        # In a session of its own: Ctrl-C is for Pulumi, which lets what is under way finish.
        self.proc = subprocess.Popen(  # noqa: S603
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )

    def close(self) -> None:
        process, self.proc = self.proc, None
        if process:
            with suppress(OSError):
                process.stdin.close()  # `docker system dial-stdio` ends with it, when the response is complete
            with suppress(subprocess.TimeoutExpired):
                process.wait(CLOSE_SECONDS)
            process.kill()
            process.wait()
            _sessions.release()


# The SDK has no setting for the options of ssh.
sshconn.SSHSocket = _SharedSocket  # type: ignore[misc]
