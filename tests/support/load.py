"""Clients that send requests one after the other, and count the failures."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx

CLIENTS = 16
SLOW_EVERY, SLOW_MS = 7, 1500  # one of so many requests of a client takes this long on the server
PAUSE_SECONDS = 0.15
REQUEST_SECONDS = 30
# Method and path of a request, chosen by the client's number and the number of its request.
Choose = Callable[[int, int], tuple[str, str]]


def reads(_: int, number: int) -> tuple[str, str]:
    """Choose reads of DHIS2, some of them slow."""
    return "GET", _slow() if number % SLOW_EVERY == 0 else "/api/organisationUnits?pageSize=5"


def reads_and_writes(client: int, number: int) -> tuple[str, str]:
    """Choose reads of DHIS2 for half of the clients and writes for the others, some of them slow."""
    if client % 2:
        return reads(client, number)
    return "POST", _slow() if number % SLOW_EVERY == 0 else f"/api/userDataStore/load/{uuid.uuid4().hex}"


def _slow() -> str:
    return f"/api/simulator/sleep?ms={SLOW_MS}"


@dataclass
class Load(AbstractContextManager["Load"]):
    """Clients that send requests to `url` while the context is open, for at most `longest_seconds`.

    `failures` counts responses other than 2xx and connections without a response, by method and what happened;
    `first_failure` is the body of the first such response. Without `verify`, any certificate is accepted.
    """

    url: str
    cookies: httpx.Cookies | None = None
    choose: Choose = reads_and_writes
    clients: int = CLIENTS
    pause_seconds: float = PAUSE_SECONDS
    longest_seconds: float = 300
    request_seconds: float = REQUEST_SECONDS
    verify: bool = True
    failures: Counter[str] = field(default_factory=Counter)
    first_failure: str = ""
    _answered: Counter[str] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Start the clients."""
        self._threads = [threading.Thread(target=self._client, args=(client,)) for client in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the clients, each after its present request."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def answered(self) -> int:
        """Return how many requests were answered with 2xx."""
        return self._answered.total()

    def failed(self, method: str) -> int:
        """Return how many requests of a method failed."""
        return sum(count for what, count in self.failures.items() if what.startswith(f"{method} "))

    def _client(self, client: int) -> None:
        deadline = time.monotonic() + self.longest_seconds
        number = client
        with httpx.Client(
            base_url=self.url, cookies=self.cookies, timeout=self.request_seconds, verify=self.verify
        ) as session:
            while not self._stop.is_set() and time.monotonic() < deadline:
                number += 1
                self._request(session, *self.choose(client, number))
                self._stop.wait(self.pause_seconds)

    def _request(self, session: httpx.Client, method: str, path: str) -> None:
        try:
            response = session.request(method, path, json={"n": 1} if method == "POST" else None)
        except httpx.HTTPError as error:
            with self._lock:
                self.failures[f"{method} {type(error).__name__}"] += 1
            return
        with self._lock:
            if response.is_success:
                self._answered[method] += 1
            else:
                self.failures[f"{method} {response.status_code}"] += 1
                self.first_failure = self.first_failure or response.text[:500]
