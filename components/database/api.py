"""Requests to the API of DHIS2 as the user admin. The primary sends them: it has the password and reaches the cores."""

import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from components.database.passwords import AdminPassword
from components.orchestrator.container_paths import FILES
from components.orchestrator.interface import Endpoint
from components.orchestrator.watcher import Watcher

SCRIPT = f"{FILES}/api.sh"
REQUEST_SECONDS = 60
LONGEST_REASON = 300


class Answer(NamedTuple):
    """An answer of DHIS2: status, 0 without an answer, and JSON, None where the body is none."""

    status: int
    content: Any

    @property
    def reason(self) -> str:
        """What DHIS2 answers to a request that it refuses, in one line."""
        message = str(self.content.get("message") or "") if isinstance(self.content, dict) else ""
        text = " ".join(message.split()).rstrip(".")
        return text[:LONGEST_REASON] or (f"it answers {self.status}" if self.status else "it does not answer")


@dataclass(frozen=True)
class Api:
    """The API, asked from the container `primary` as the user admin, who has the password `admin`."""

    watcher: Watcher
    primary: str
    admin: AdminPassword

    async def request(
        self, core: Endpoint, method: str, path: str, *body: str, seconds: int = REQUEST_SECONDS
    ) -> Answer:
        """Return the answer of a core. `body` is a file in the primary, and its content type. Raises NotReady."""
        command = ["/bin/bash", SCRIPT, core.host, str(core.port), self.admin, str(seconds), method, path, *body]
        _, output = await self.watcher.execute(self.primary, command)
        head, _, text = str(output).partition("\r\n\r\n")
        status = re.match(r"HTTP/[0-9.]+ ([0-9]{3})", head)
        try:
            content = json.loads(text)
        except ValueError:
            content = None
        return Answer(int(status[1]) if status else 0, content)
