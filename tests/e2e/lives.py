"""What the engine tells of the containers of one service: when each started and when it ended."""

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.e2e.stack import Stack


@dataclass
class Lives(AbstractContextManager["Lives"]):
    """Watches while the context is open. `started` and `ended` are nanoseconds of the engine's clock by container id;
    of a container that did so several times the last ones."""

    stack: Stack
    service: str
    started: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Begin to listen."""
        labels = [
            f"com.docker.compose.project={self.stack.prefix}",
            f"com.docker.compose.service={self.service}",
        ]
        wanted = {"type": "container", "event": ["start", "die"], "label": labels}
        self._events: Any = self.stack.engine.events(decode=True, filters=wanted)  # type: ignore[no-untyped-call]
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        self._events.close()
        self._thread.join()

    def assert_replaced(self, old: set[str], new: int) -> None:
        """All `old` containers had ended before the first of so many new ones started."""
        begun = [started for each, started in self.started.items() if each not in old]
        assert len(begun) == new, f"{len(begun)} were started"
        assert old <= self.ended.keys(), "some were never stopped"
        assert max(self.ended[each] for each in old) < min(begun), "two versions would write to one database"

    def _listen(self) -> None:
        for event in self._events:
            kept = self.started if event["Action"] == "start" else self.ended
            kept[event["id"]] = event["timeNano"]
