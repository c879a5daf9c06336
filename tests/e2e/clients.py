"""Somebody who is logged in, through the load balancer or at one core, past it."""

import json
from typing import Any

import httpx

from tests.e2e.stack import ADMIN, Stack, wait_until

# How much sooner than their settings say the simulator replaces pooled connections, and what README's "within
# minutes" is then: five minutes of age, and the driver's ten seconds before it looks for the replica again.
HURRY = 20
HURRIED = {"simulator.pool.age.divisor": str(HURRY)}
RETURN_SECONDS = 300 / HURRY + 10
SLACK_SECONDS = 20  # what a busy machine may add


def log_in(stack: Stack) -> httpx.Cookies:
    """The cookies of somebody who has logged in through the load balancer."""
    with stack.client() as client:
        answer = client.post("/api/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]})
        assert answer.status_code == 200, answer.text
        return client.cookies


def at_core(stack: Stack, core: str, session: httpx.Cookies, path: str, *options: str) -> str:
    """What one core answers, asked inside its container with curl; it has to be a success."""
    return stack.inside(core, *_curl(session, path, *options))


def told_by(stack: Stack, core: str, session: httpx.Cookies, path: str) -> dict[str, Any]:
    """A core's answer in JSON."""
    return dict(json.loads(at_core(stack, core, session, path)))


def nodes(stack: Stack, session: httpx.Cookies, requests: int = 30) -> set[str]:
    """The cores that answer through the load balancer."""
    with stack.client(cookies=session) as client:
        return {str(client.get("/api/system/info").json()["nodeId"]) for _ in range(requests)}


def readers(stack: Stack, core: str, session: httpx.Cookies, requests: int = 4) -> set[str]:
    """The database servers a core sends its reads to: `primary`, names of replicas, `none` where a read fails."""
    asked = _curl(session, "/api/dataItems?pageSize=1")
    found = [stack.container(core).exec_run(asked) for _ in range(requests)]
    return {str(json.loads(output)["servedBy"]) if code == 0 else "none" for code, output in found}


def reads_return(stack: Stack, core: str, session: httpx.Cookies, *replicas: str) -> None:
    """Wait until a core reads from these replicas alone, no longer than README promises to a stack that is HURRIED."""
    wait_until(
        lambda: readers(stack, core, session) == set(replicas),
        f"{core}'s reads to return to {replicas}",
        seconds=RETURN_SECONDS + SLACK_SECONDS,
    )


def _curl(session: httpx.Cookies, path: str, *options: str) -> list[str]:
    cookies = "; ".join(f"{name}={value}" for name, value in session.items())
    url = f"http://127.0.0.1:8080{path}"
    return ["curl", "--silent", "--fail", "--max-time", "30", "--header", f"Cookie: {cookies}", *options, url]
