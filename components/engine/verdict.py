"""Judges a container by what the engine says of it: ready, to be waited for, or failed and why. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

TAIL_LINES = 15
FATAL = "fatal: "  # how our scripts begin the line they give up with
_TELLING = re.compile(
    r"fatal:|\b(FATAL|SEVERE|ERROR|PANIC)\b|^\S*Exception\b|Caused by:|OutOfMemoryError", re.MULTILINE
)


class Goal(Enum):
    """What is waited for: a container whose health check passes, or one that has done its work and ended."""

    HEALTHY = "healthy"
    FINISHED = "finished"


@dataclass(frozen=True)
class Verdict:
    """`ready`, or failed with a `reason`, or neither: then it is still on its way, as far as `status` tells."""

    ready: bool = False
    reason: str = ""
    status: str = ""


def judge(inspected: Mapping[str, Any], goal: Goal, restarts_before: int) -> Verdict:
    """The verdict over one answer of the engine's container inspection.

    `restarts_before` is the engine's count when the wait began: a container that has failed and started again since
    then would go on like that, so waiting ends.
    """
    state = inspected.get("State") or {}
    status = str(state.get("Status", ""))
    code = int(state.get("ExitCode") or 0)
    if goal is Goal.FINISHED and status in ("exited", "dead") and code == 0:
        return Verdict(ready=True)
    if goal is Goal.HEALTHY and status == "running":
        return _running(str((state.get("Health") or {}).get("Status", "")), inspected, restarts_before)
    reasons = {"created": f"did not start: {state.get('Error')}" if state.get("Error") else "", "paused": "is paused"}
    if status in ("exited", "dead", "restarting", "removing"):
        reasons[status] = _ended(state, code)
    if status == "exited" and goal is Goal.HEALTHY:
        # The engine starts again what ends by itself.
        reasons[status] += " and was stopped by somebody; start it again: pulumi up --refresh"
    return Verdict(reason=reasons.get(status, ""), status=status)


def _running(health: str, inspected: Mapping[str, Any], restarts_before: int) -> Verdict:
    if health == "healthy":
        return Verdict(ready=True)
    if int(inspected.get("RestartCount") or 0) > restarts_before:
        return Verdict(reason="ended and was started again")
    return Verdict(status=health or "running")


def _ended(state: Mapping[str, Any], code: int) -> str:
    if state.get("OOMKilled"):
        return "was ended for using more memory than its limit"
    return f"ended with exit code {code}"


def telling_lines(log: Sequence[str], count: int = TAIL_LINES) -> list[str]:
    """The lines of a log that tell a failure: those after the last `fatal: `, else those that look like errors and
    the end of it."""
    lines = [line.rstrip() for line in log if line.strip()]
    for index in range(len(lines) - 1, -1, -1):
        if FATAL in lines[index]:
            # The lines before say what led to it; after it there is at most the next start's beginning.
            return lines[max(0, index - count + 1) : index + 1]
    errors = [line for line in lines[:-count] if _TELLING.search(line)][-count:]
    return [*errors, *lines[-count:]]
