"""Docker's events of the containers of one service: when each started and when it exited."""

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.support.stack import Stack


@dataclass
class ContainerEvents(AbstractContextManager["ContainerEvents"]):
    """Listens while the context is open. `started` and `exited` are the last start and exit of each container, by its
    id, in nanoseconds of Docker Engine's clock."""

    stack: Stack
    service: str
    started: dict[str, int] = field(default_factory=dict)
    exited: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Start to listen."""
        labels = [
            f"com.docker.compose.project={self.stack.prefix}",
            f"com.docker.compose.service={self.service}",
        ]
        filters = {"type": "container", "event": ["start", "die"], "label": labels}
        self._events: Any = self.stack.docker.events(decode=True, filters=filters)  # type: ignore[no-untyped-call]
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self._events.close()
        self._thread.join()

    def assert_replaced(self, old: set[str], new: int) -> None:
        """Assert that all `old` containers had exited before the first of `new` others started."""
        starts = [started for container, started in self.started.items() if container not in old]
        assert len(starts) == new, f"{len(starts)} containers were started"
        assert old <= self.exited.keys(), "a container was not stopped"
        assert max(self.exited[container] for container in old) < min(starts), "two versions write to one database"

    def _listen(self) -> None:
        for event in self._events:
            times = self.started if event["Action"] == "start" else self.exited
            times[event["id"]] = event["timeNano"]
