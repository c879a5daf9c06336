"""Messages of Docker and of networks, made short. Pure."""

import re

SLOW = "no answer in time"


def short(reason: object) -> str:
    """Return the telling end of a message such as `Get "https://…": dial tcp: lookup …: no such host`."""
    text = str(reason).strip()
    if "timed out" in text.lower() or "timeout" in text.lower():
        return SLOW
    return re.sub(r"^\[Errno -?\d+\] |[\"')\s]+$", "", text.split(": ")[-1])
