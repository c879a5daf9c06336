"""What gates and parts ask of what runs the containers, whatever that is."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from components.orchestrator.container_state import Condition
from components.orchestrator.short_lived import ShortLived

Result = TypeVar("Result")

# Not the event loop's default executor: the SDK's registrations occupy that one until the Pulumi engine has answered,
# and the Pulumi engine may be waiting for us.
_EXECUTOR = ThreadPoolExecutor(max_workers=16, thread_name_prefix="watcher")


class NotReady(Exception):
    """A container that did not become ready: which, why, its last log lines, and what to do."""


@dataclass(frozen=True)
class WaitTarget:
    """A container by its Docker name, its display name, and the condition it is waited for.

    It does not become ready without those it `depends_on`. Where it fails and one of them is not ready, that one is
    reported as the cause.
    """

    container: str
    display_name: str
    condition: Condition = Condition.SERVICE_HEALTHY
    depends_on: tuple["WaitTarget", ...] = ()

    @property
    def dependencies(self) -> Iterator["WaitTarget"]:
        """What it depends on, also through others; what others depend on comes first."""
        for dependency in self.depends_on:
            yield from dependency.dependencies
            yield dependency


@dataclass(frozen=True, kw_only=True)
class DumpUpload:
    """A local dump file, and where a container takes it from: `<folder>/<key>.incoming`, then `<key>.delivered`.

    Both files belong to `uid`, the container's user. `make_room` returns the command that frees room for so many bytes.
    """

    path: Path
    folder: str
    key: str
    uid: int
    make_room: Callable[[int], Sequence[str]]


class Watcher(ABC):
    """Waits for the containers of a stack, asks them, and restarts them. They are named by their Docker names.

    All methods raise NotReady where Docker Engine does not answer or refuses.
    """

    timeout_seconds: int
    report: Callable[[str], None]
    """Takes a line of progress for the console."""

    @abstractmethod
    def log_command(self, target: WaitTarget) -> str:
        """Return the command that prints a target's log."""

    @abstractmethod
    async def until_ready(self, targets: Sequence[WaitTarget]) -> None:
        """Return when all are ready. Raises NotReady at the first that has failed, or after the timeout."""

    @abstractmethod
    async def until_succeeds(self, target: WaitTarget, command: Sequence[str], failure: str) -> None:
        """Return when a command succeeds in a container. Raises NotReady with `failure` after the timeout."""

    @abstractmethod
    async def execute(self, container: str, command: Sequence[str]) -> tuple[int, str]:
        """Return exit code and output of a command in a container that runs."""

    async def execute_on_each(self, container: str, command: Sequence[str]) -> dict[str, tuple[int, str]]:
        """Return exit codes and outputs of a command for all that runs of a container, by the node it is on."""
        return {"": await self.execute(container, command)}

    @abstractmethod
    async def read_file(self, container: str, path: str) -> str | None:
        """Return the text of a file in a container, running or not; None when there is no such container or file."""

    @abstractmethod
    async def write_file(self, container: str, path: str, content: str | bytes, uid: int) -> None:
        """Replace a file in a running container, atomically; only `uid`, the container's user, can read it."""

    @abstractmethod
    async def started_at(self, container: str) -> float:
        """Return when a running container was started, in epoch seconds; infinity when it does not run."""

    @abstractmethod
    async def stop(self, container: str, timeout_seconds: int) -> None:
        """Stop a container; it has `timeout_seconds` before it is killed."""

    @abstractmethod
    async def start(self, container: str) -> None:
        """Start a container that was stopped."""

    @abstractmethod
    async def restart(self, container: str) -> None:
        """Restart a container within the stop timeout it was created with."""

    @abstractmethod
    async def restart_failed(self, container: str) -> bool:
        """Restart a one-shot container that has failed before; tell whether it is running now."""

    @abstractmethod
    async def upload_dump(self, container: str, upload: DumpUpload) -> None:
        """Copy a dump file into a container. Raises NotReady when the disk has no room for it."""

    @abstractmethod
    async def volume_exists(self, name: str) -> bool:
        """Tell whether a volume exists."""

    @abstractmethod
    async def run_short_lived(self, spec: ShortLived) -> tuple[int, str]:
        """Return exit code and output of a command in a container of its own, which is removed."""


async def in_thread(action: Callable[[], Result]) -> Result:
    """Return the result of an action that blocks, off the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_EXECUTOR, action)
