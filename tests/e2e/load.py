"""Clients that use a stack without pause, and count what failed."""

import threading
import time
import uuid
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx

CLIENTS = 16
SLOW_EVERY, SLOW_MS = 7, 1500  # every so many requests of a client one takes this long on the server
PAUSE_SECONDS = 0.05
CLIENT_SECONDS = 30


@dataclass
class Load(AbstractContextManager["Load"]):
    """Sixteen logged-in clients on the load balancer, half of them reading, half writing, some requests slow.

    Runs while the context is open, at most `longest_seconds`. `failures` counts answers other than 2xx, and
    connections without an answer, by what happened; `told` is what the first of these said.
    """

    address: str
    cookies: httpx.Cookies
    longest_seconds: float = 300
    writes: bool = True
    failures: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    told: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Start the clients."""
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the clients, each after the request it is at."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def count(self) -> int:
        """How many requests have been answered as they should."""
        return self.done.total()

    def _client(self, number: int) -> None:
        until = time.monotonic() + self.longest_seconds
        with httpx.Client(base_url=self.address, cookies=self.cookies, timeout=CLIENT_SECONDS) as client:
            turn = number
            while not self._stop.is_set() and time.monotonic() < until:
                turn += 1
                writing = self.writes and number % 2 == 0
                self._request(client, "POST" if writing else "GET", slow=turn % SLOW_EVERY == 0)
                time.sleep(PAUSE_SECONDS)

    def _request(self, client: httpx.Client, method: str, *, slow: bool) -> None:
        if slow:
            path = f"/api/simulator/sleep?ms={SLOW_MS}"
        elif method == "POST":
            path = f"/api/userDataStore/load/{uuid.uuid4().hex}"
        else:
            path = "/api/organisationUnits?pageSize=5"
        try:
            answer = client.request(method, path, json={"n": 1} if method == "POST" else None)
        except httpx.HTTPError as error:
            self.failures[f"{method} {type(error).__name__}"] += 1
            return
        if answer.is_success:
            self.done[method] += 1
        else:
            self.failures[f"{method} {answer.status_code}"] += 1
            self.told = self.told or answer.text[:500]
