"""Clean up after a `pulumi` that was killed, so that the next `up` or `destroy` finishes its work.

A killed Pulumi engine leaves a lock, which refuses every further command, and "pending creates": objects it began to
create and never recorded. They exist in Docker under the names of the next `up`, which fails with `Conflict. The
container name … is already in use`. `pulumi refresh --clear-pending-creates` clears the list but leaves the objects in
Docker, and its refresh records unhealthy containers as good ones; so both are removed here.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException, NotFound

from tools.paths import PROJECT
from tools.terminal import ToolError, attempt, capture, report

CONTAINER = "docker:index/container:Container"
NETWORK = "docker:index/network:Network"


@dataclass(frozen=True)
class Lock:
    """The holder of a stack: the content of a lock file of Pulumi's file backend."""

    pid: int
    host: str
    user: str


@dataclass(frozen=True)
class Orphan:
    """An object that a killed Pulumi engine may have created without recording it."""

    kind: str
    name: str
    labels: frozenset[tuple[str, str]]


def recover(environment: Mapping[str, str], stack: str, docker_host: str) -> None:
    """Remove the lock and the unrecorded objects of a killed run; change nothing where there are none.

    Raises ToolError while another pulumi is running on the stack.
    """
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
    if not any(is_pending_create(operation) for operation in deployment.get("pending_operations") or []):
        return
    removed = [orphan.name for orphan in orphans(deployment) if remove(orphan, docker_host)]
    deployment["pending_operations"] = [
        each for each in deployment["pending_operations"] if not is_pending_create(each)
    ]
    capture(["pulumi", "stack", "import", "--stack", stack], environment, stdin=json.dumps(state))
    report("recover", f"removed what the killed run had not recorded: {', '.join(removed) or 'nothing'}")


def locks(environment: Mapping[str, str], stack: str) -> list[Lock]:
    """Return the locks on a stack of a file backend; other backends do not show theirs."""
    url = environment.get("PULUMI_BACKEND_URL", "")
    if not url.startswith("file://"):
        return []
    folder = Path(url.removeprefix("file://").split("?")[0]).expanduser() / ".pulumi" / "locks"
    found = []
    for path in sorted(folder.glob(f"*/{PROJECT}/{stack.rsplit('/', 1)[-1]}/*.json")):
        content = json.loads(path.read_text() or "{}")
        found.append(Lock(content.get("pid", 0), content.get("hostname", ""), content.get("username", "")))
    return found


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


def is_pending_create(operation: Mapping[str, object]) -> bool:
    """Tell whether an entry of `pending_operations` is a create; pulumi itself drops the other kinds."""
    return operation.get("type") == "creating"


def orphans(deployment: Mapping[str, object]) -> list[Orphan]:
    """Return the containers and networks of pending creates whose name no recorded resource has.

    Containers come first: a network with a container attached cannot be removed. An existing volume is adopted by the
    next create.
    """
    recorded = {_key(each) for each in _list(deployment.get("resources"))}
    pending = [
        _dict(each.get("resource")) for each in _list(deployment.get("pending_operations")) if is_pending_create(each)
    ]
    found = []
    for resource in pending:
        kind, name = _key(resource)
        if kind in (CONTAINER, NETWORK) and name and (kind, name) not in recorded:
            labels = _list(_dict(resource.get("inputs")).get("labels"))
            pairs = frozenset((str(each.get("label")), str(each.get("value"))) for each in labels)
            found.append(Orphan(kind, name, pairs))
    return sorted(found, key=lambda orphan: orphan.kind != CONTAINER)


def remove(orphan: Orphan, docker_host: str) -> bool:
    """Remove an orphan from Docker and tell whether there was one.

    One without the labels of the run is foreign: it is left alone, and `up` reports the conflict.
    """
    client = docker.DockerClient(base_url=docker_host, use_ssh_client=docker_host.startswith("ssh:"))
    try:
        if orphan.kind == CONTAINER:
            container = client.containers.get(orphan.name)
            if not orphan.labels <= set(container.labels.items()):
                return False
            container.remove(force=True, v=True)  # anonymous volumes belong to it
            return True
        same = [each for each in client.networks.list(names=[orphan.name]) if each.name == orphan.name]
        ours = [each for each in same if orphan.labels <= set((each.attrs.get("Labels") or {}).items())]
        for network in ours:
            network.remove()
        return bool(ours)
    except NotFound:
        return False
    except DockerException as error:
        raise ToolError(f"{orphan.name}, created by a killed run, cannot be removed: {error}") from error


def _key(resource: Mapping[str, object]) -> tuple[str, str]:
    values = {**_dict(resource.get("inputs")), **_dict(resource.get("outputs"))}
    return str(resource.get("type", "")), str(values.get("name") or "")


def _dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[dict[str, object]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
