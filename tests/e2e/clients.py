"""Users who are logged in, through the load balancer or at one core without it."""

import uuid
from functools import partial
from typing import Any

import httpx

from tests.support.http import Answer, ask_inside
from tests.support.readers import server_read_by
from tests.support.stack import Stack
from tests.support.waiting import until

# The simulator closes pooled connections at their maximum age divided by this.
AGE_DIVISOR = 20
SHORT_CONNECTION_AGE = {"simulator.pool.age.divisor": str(AGE_DIVISOR)}
# Five minutes of age, and ten seconds until the driver tries the replica again.
RETURN_SECONDS = 300 / AGE_DIVISOR + 10
SLACK_SECONDS = 20  # for a busy machine
SERVER_ERROR = 500


def at_core(stack: Stack, core: str, session: httpx.Cookies, path: str, *options: str) -> Answer:
    """Return the response of one core, which must be a success, to a request with options of curl."""
    answer = _ask(stack, core, session, path, *options)
    assert httpx.codes.is_success(answer.status), f"{core} answered {answer.status} to {path}: {answer.text}"
    return answer


def until_reconnected(stack: Stack, session: httpx.Cookies, *cores: str) -> None:
    """Wait until cores reach a cache that has replaced another: they look up a session there.

    Their driver tries again after a growing delay, and Java keeps an address for 30 s.
    """

    def is_connected(core: str) -> bool:
        return httpx.codes.OK <= _ask(stack, core, session, "/api/me").status < SERVER_ERROR

    for core in cores:
        until(partial(is_connected, core), f"{core} to reach the cache")


def json_at_core(stack: Stack, core: str, session: httpx.Cookies, path: str) -> dict[str, Any]:
    """Return the JSON object one core responds with."""
    return at_core(stack, core, session, path).json


def nodes(stack: Stack, session: httpx.Cookies, requests: int = 30) -> set[str]:
    """Return the cores that respond through the load balancer."""
    with stack.client(cookies=session) as client:
        return {str(client.get("/api/system/info").json()["nodeId"]) for _ in range(requests)}


def readers(stack: Stack, core: str, session: httpx.Cookies, requests: int = 4) -> set[str]:
    """Return the database servers a core reads from: `primary`, `replica-1` and so on, `none` for a failed read."""
    parts = sorted(part for part in stack.containers() if part == "primary" or part.startswith("replica-"))
    servers = {part: stack.container(part) for part in parts}

    def read() -> Answer:
        # DHIS2 caches its answers.
        return _ask(stack, core, session, f"/api/dataItems?pageSize=1&query={uuid.uuid4().hex[:6]}")

    return {server_read_by(stack.container(core), read, servers) for _ in range(requests)}


def reads_return(stack: Stack, core: str, session: httpx.Cookies, *replicas: str) -> None:
    """Wait until a core of a stack with SHORT_CONNECTION_AGE reads from these replicas only."""
    until(
        lambda: readers(stack, core, session) == set(replicas),
        f"the reads of {core} to return to {replicas}",
        seconds=RETURN_SECONDS + SLACK_SECONDS,
    )


def build_analytics(client: httpx.Client) -> str:
    """Run DHIS2's analytics job to its end and return its id."""
    job = str(client.post("/api/resourceTables/analytics").json()["response"]["id"])

    def result() -> dict[str, object]:
        return dict(client.get(f"/api/jobConfigurations/{job}").json())

    until(lambda: result()["lastExecutedStatus"] in ("COMPLETED", "FAILED"), "the job to finish")
    assert result()["lastExecutedStatus"] == "COMPLETED", result()["errorCodes"]
    return job


def _ask(stack: Stack, core: str, session: httpx.Cookies, path: str, *options: str) -> Answer:
    cookies = "; ".join(f"{name}={value}" for name, value in session.items())
    return ask_inside(stack.container(core), path, "--header", f"Cookie: {cookies}", *options)
