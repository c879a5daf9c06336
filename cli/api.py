"""DHIS2's API as the user admin, from inside the stack, wherever its Docker Engine is."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cli.deployed import DeployedStack
from cli.errors import FAILED, CommandError
from cli.parts import Part
from cli.stacks import open_stack
from cli.target import Target

# From the load balancer's container, since not every DHIS2 image has curl. Past NGINX: a script with an old password
# must not lock out the people behind its address.
CORES = "http://core:8080"
REQUEST_SECONDS = 120
UNAUTHORIZED, NOT_FOUND, FIRST_ERROR = 401, 404, 400


class ApiError(CommandError):
    """An answer of DHIS2 that is no success."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text, FAILED)
        self.status = status


@dataclass
class Api:
    """DHIS2 of one stack."""

    target: Target

    def get(self, path: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the JSON of a GET request. Raises ApiError."""
        return self._request("GET", path)

    def post(self, path: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the JSON of a POST request without content. Raises ApiError."""
        return self._request("POST", path)

    @cached_property
    def _stack(self) -> DeployedStack:
        return open_stack(self.target)

    @cached_property
    def _load_balancer(self) -> Part:
        return self._stack.running("lb")

    @cached_property
    def _user(self) -> str:
        outputs = self.target.outputs()
        return f"{outputs['username']}:{outputs['adminPassword']}"

    def _request(self, method: str, path: str) -> Any:  # noqa: ANN401 - any JSON
        # As curl's configuration on its input: a password is on no command line.
        options = {"user": self._user, "request": method, "url": f"{CORES}{path}"}
        config = "".join(f'{name} = "{_quoted(value)}"\n' for name, value in options.items())
        command = ["curl", "--silent", "--show-error", "--max-time", str(REQUEST_SECONDS)]
        command += ["--write-out", r"\n%{http_code}", "--config", "-"]
        done = self._stack.pipe(self._load_balancer, command, config)
        body, _, status = done.stdout.rpartition("\n")
        if done.returncode or not status.isdigit():
            raise ApiError(0, f"DHIS2 does not answer to {method} {path}: {done.stderr.strip()}")
        return _answer(int(status), body, f"{method} {path}", self.target.stack)


def _answer(status: int, body: str, request: str, stack: str) -> Any:  # noqa: ANN401 - any JSON
    if status == UNAUTHORIZED:
        raise ApiError(
            status,
            f"DHIS2 refuses the user admin with the password among the outputs of stack {stack}. Where it was changed in DHIS2, set it here too: pulumi config set --secret adminPassword -s {stack} && pulumi up -s {stack}",
        )
    try:
        content = json.loads(body) if body.strip() else None
    except ValueError:
        content = None
    if status >= FIRST_ERROR:
        reason = content.get("message") if isinstance(content, dict) else None
        raise ApiError(status, f"DHIS2 answers {status} to {request}: {reason or body.strip()[:200] or 'no reason'}")
    return content


def _quoted(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"")
