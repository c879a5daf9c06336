"""When containers were started and became healthy, as the engine tells it while it happens."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import docker

from bench.engine import wait_until

HEALTHY, STARTED = "health_status: healthy", "start"


@dataclass
class Moments:
    """When containers of one stack were started and became healthy, as the engine reports it; epoch seconds."""

    engine: docker.DockerClient
    prefix: str
    _seen: dict[tuple[str, str], float] = field(default_factory=dict)

    @contextmanager
    def recorded(self) -> Iterator["Moments"]:
        """Listen to the engine while the context is open."""
        wanted = {"label": f"dhis2-cluster.stack={self.prefix}", "event": ["start", "health_status"]}
        stream = self.engine.events(decode=True, filters=wanted)  # type: ignore[no-untyped-call]
        listener = threading.Thread(target=self._listen, args=(stream,), daemon=True)
        listener.start()
        try:
            yield self
        finally:
            stream.close()

    def _listen(self, stream: Iterator[Mapping[str, object]]) -> None:
        for event in stream:
            attributes = (event.get("Actor") or {}).get("Attributes") or {}  # type: ignore[attr-defined]
            part = str(attributes.get("name", "")).removeprefix(f"{self.prefix}-")
            self._seen[part, str(event["Action"])] = int(str(event["timeNano"])) / 1e9

    def until_healthy(self, part: str) -> float:
        """When a part last became healthy, once it has."""
        wait_until(lambda: (part, HEALTHY) in self._seen, f"{part} to be healthy")
        return self._seen[part, HEALTHY]

    def boot_seconds(self, part: str) -> float:
        """From a part's last start to healthy, once it is."""
        return self.until_healthy(part) - self._seen[part, STARTED]

    def forget(self) -> None:
        """Begin anew."""
        self._seen.clear()
