"""HTTP requests from this machine, and from inside a container."""

import http.client
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from docker.models.containers import Container

from tests.support.commands import execute

PORT = 8080  # of load balancer and cores
TIMEOUT_SECONDS = 30.0
NO_ANSWER = 0  # as a status


class Answer(NamedTuple):
    """An HTTP response: status, headers by lower-case name, body. The status is NO_ANSWER when none came in time."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object."""
        return dict(json.loads(self.text))


def ask(
    address: str,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    port: int = PORT,
    seconds: float = TIMEOUT_SECONDS,
) -> Answer:
    """Send one request from this machine, on a connection of its own, with the path as it is."""
    connection = http.client.HTTPConnection(address, port, timeout=seconds)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return Answer(NO_ANSWER, {}, "")
    finally:
        connection.close()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, text)


def ask_inside(container: Container, path: str, *options: str, seconds: float = TIMEOUT_SECONDS) -> Answer:
    """Send one request to the port of a container from inside it, with curl and its `options`."""
    curl = ("curl", "--silent", "--include", "--max-time", str(seconds), *options, f"http://127.0.0.1:{PORT}{path}")
    _, output = execute(container, *curl)
    head, _, text = output.partition("\r\n\r\n")
    status = re.match(r"HTTP/1\.1 (\d+)", head)
    headers = (line.partition(": ") for line in head.split("\r\n")[1:])
    return Answer(int(status[1]) if status else NO_ANSWER, {name.lower(): value for name, _, value in headers}, text)
