"""Shorten messages of Docker and of network libraries."""

import re

TIMED_OUT = "no answer in time"


def short(reason: object) -> str:
    """Return the last part of a message such as `Get "https://…": dial tcp: lookup …: no such host`."""
    text = str(reason).strip()
    if "timed out" in text.lower() or "timeout" in text.lower():
        return TIMED_OUT
    return re.sub(r"^\[Errno -?\d+\] |[\"')\s]+$", "", text.split(": ")[-1])
