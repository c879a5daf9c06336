"""Clean up after a `pulumi` that was killed, so that the next `up` or `destroy` finishes its work.

A killed Pulumi engine leaves a lock, which refuses every further command, and "pending creates": objects it began to
create and never recorded. After a killed provider plugin there is no such list. These objects exist in Docker under the
names of the next `up`, which fails with `Conflict. The container name … is already in use`, and `destroy` leaves them.
`pulumi refresh --clear-pending-creates` clears the list but leaves the objects in Docker, and its refresh records
unhealthy containers as good ones; so both are removed here.

One that is killed while it writes the state may leave a file with which every command fails; it is removed, too.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from components.orchestrator.client import connect
from tools.naming import naming
from tools.paths import PROJECT, stack_name
from tools.terminal import ToolError, attempt, capture, report
from tools.unrecorded import remove_unrecorded


@dataclass(frozen=True)
class Lock:
    """The holder of a stack: the content of a lock file of Pulumi's file backend."""

    pid: int
    host: str
    user: str


def recover(environment: Mapping[str, str], stack: str, docker_host: str) -> None:
    """Remove the lock and the unrecorded objects of a killed run; change nothing where there are none.

    Raises ToolError while another pulumi is running on the stack.
    """
    remove_empty_attributes(environment)
    held = locks(environment, stack)
    for lock in held:
        if not is_stale(lock, socket.gethostname(), runs_pulumi):
            raise ToolError(
                f"stack {stack} is locked by {lock.user}@{lock.host} (pulumi, pid {lock.pid}).\n  Wait for it, or stop it there with Ctrl-C; if it certainly no longer runs: pulumi cancel --yes"
            )
    if held:
        capture(["pulumi", "cancel", "--yes", "--stack", stack], environment)
        report("recover", f"an earlier run was killed (pid {held[0].pid}): its lock is removed")
    exported = attempt(["pulumi", "stack", "export", "--stack", stack], environment)
    if exported.returncode:
        raise ToolError(f"the state of stack {stack} cannot be read: {exported.stderr.strip()}")
    state = json.loads(exported.stdout)
    deployment = state.get("deployment") or {}
    pending = deployment.get("pending_operations") or []
    creates = [operation for operation in pending if operation.get("type") == "creating"]
    # Without the lock of a backend, what is not recorded may be what another pulumi creates at this moment.
    if not creates and not _state_folder(environment):
        return
    recorded = {str(resource.get("id")) for resource in deployment.get("resources") or []}
    prefix = naming(stack).prefix
    removed = remove_unrecorded(connect(docker_host), prefix, recorded)
    if creates:
        # Pulumi itself drops the other kinds.
        deployment["pending_operations"] = [operation for operation in pending if operation not in creates]
        capture(["pulumi", "stack", "import", "--stack", stack], environment, stdin=json.dumps(state))
    if creates or removed:
        report("recover", f"removed what the killed run had not recorded: {', '.join(removed) or 'nothing'}")


def locks(environment: Mapping[str, str], stack: str) -> list[Lock]:
    """Return the locks on a stack of a file backend; other backends do not show theirs."""
    folder = _state_folder(environment)
    if folder is None:
        return []
    found = []
    for path in sorted(folder.glob(f"locks/*/{PROJECT}/{stack_name(stack)}/*.json")):
        content = json.loads(path.read_text() or "{}")
        found.append(Lock(content.get("pid", 0), content.get("hostname", ""), content.get("username", "")))
    return found


def remove_empty_attributes(environment: Mapping[str, str]) -> None:
    """Remove the empty attribute files that a killed pulumi leaves in a file backend.

    Every command on the stack fails with `failed to load checkpoint: EOF`. The state beside them is whole: it is
    written after its attributes, in one step, and needs none (setAttrs in gocloud.dev's fileblob).
    """
    folder = _state_folder(environment)
    empty = [path for path in folder.rglob("*.attrs") if not path.stat().st_size] if folder else []
    for path in empty:
        path.unlink(missing_ok=True)
    if empty:
        report("recover", f"a killed run had left attributes of the state empty, removed: {empty[0].name}")


def _state_folder(environment: Mapping[str, str]) -> Path | None:
    url = environment.get("PULUMI_BACKEND_URL", "")
    path = Path(url.removeprefix("file://").split("?")[0]).expanduser()
    return path / ".pulumi" if url.startswith("file://") else None


def is_stale(lock: Lock, host: str, runs: Callable[[int], bool]) -> bool:
    """Tell whether a lock's holder has certainly exited: it ran on this machine, and no longer does."""
    return lock.host == host and not runs(lock.pid)


def runs_pulumi(pid: int) -> bool:
    """Tell whether a process runs and is pulumi; pids are reused, so its name in /proc counts where there is one."""
    name = Path("/proc", str(pid), "comm")
    if Path("/proc/self/comm").exists():
        try:
            return name.read_text().strip() == "pulumi"
        except OSError:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
