"""Evaluate a container's state as Docker Engine reports it: ready, still on its way, or failed and why."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

TAIL_LINES = 15
# What starts containers that were stopped by hand. `dhis2-cluster status` shows `dhis2-cluster start` in its place.
START = "pulumi up --refresh"
# What our scripts begin the line with that says why they exit, and healthchecks the one after which no wait helps.
FATAL = "fatal: "
_ERROR_LINE = re.compile(
    r"fatal:|\b(FATAL|SEVERE|ERROR|PANIC)\b|^\S*Exception\b|Caused by:|OutOfMemoryError", re.MULTILINE
)
_STACK_TRACE = re.compile(r"\s*(at |\.\.\. \d+ more)")


class Condition(Enum):
    """What a container is waited for; Compose's names of these conditions."""

    SERVICE_HEALTHY = "service_healthy"
    SERVICE_COMPLETED_SUCCESSFULLY = "service_completed_successfully"


@dataclass(frozen=True)
class Evaluation:
    """`ready`, or failed with a `reason`, or neither: then the wait goes on, and `status` is where it stands."""

    ready: bool = False
    reason: str = ""
    status: str = ""


def evaluate(inspected: Mapping[str, Any], condition: Condition, restarts_before: int) -> Evaluation:
    """Evaluate one container inspection.

    `restarts_before` is RestartCount when the wait began: a container that has exited and was restarted since then
    would go on like that, so the wait ends.
    """
    state = inspected.get("State") or {}
    status, completes = str(state.get("Status", "")), condition is Condition.SERVICE_COMPLETED_SUCCESSFULLY
    if not completes and status == "running":
        health = str((state.get("Health") or {}).get("Status", ""))
        if health == "healthy":
            return Evaluation(ready=True)
        if int(inspected.get("RestartCount") or 0) > restarts_before:
            return Evaluation(reason="exited and was restarted")
        reason = healthcheck_output(inspected) if health == "unhealthy" else ""
        reason = f"is unhealthy: {reason.removeprefix(FATAL)}" if reason.startswith(FATAL) else ""
        return Evaluation(reason=reason, status=health or "running")
    if completes and status in ("exited", "dead") and not state.get("ExitCode"):
        return Evaluation(ready=True)
    return Evaluation(reason=_failure(inspected, status, completes=completes), status=status)


def _failure(inspected: Mapping[str, Any], status: str, *, completes: bool) -> str:
    """Return why a container that is not running and has not completed has failed; empty while it has not."""
    state = inspected.get("State") or {}
    if status == "created" and state.get("Error"):
        return f"did not start: {state['Error']}"
    if status == "paused":
        return "is paused"
    if status not in ("exited", "dead", "restarting", "removing"):
        return ""
    if state.get("OOMKilled"):
        limit_mb = int((inspected.get("HostConfig") or {}).get("Memory") or 0) // 2**20
        return f"was OOM-killed (memory limit {limit_mb} MB)"
    code = int(state.get("ExitCode") or 0)
    if status == "exited" and not completes:
        # Docker restarts what exits by itself.
        return f"exited with code {code} and was stopped by hand; start it: {START}"
    return f"exited with code {code}"


def healthcheck_output(inspected: Mapping[str, Any]) -> str:
    """Return what a container's healthcheck printed last: why it is not ready. Empty before its first run."""
    runs = ((inspected.get("State") or {}).get("Health") or {}).get("Log") or [{}]
    return str(runs[-1].get("Output") or "").strip()


def failure_lines(log: Sequence[str], count: int = TAIL_LINES) -> list[str]:
    """Return the log lines that explain a failure: errors, then those up to the last `fatal: `, else the log's end."""
    lines = [line.rstrip() for line in log if line.strip()]
    # After the last one there is at most the beginning of the next start.
    end = next((number for number in range(len(lines), 0, -1) if FATAL in lines[number - 1]), len(lines))
    start = max(0, end - count)
    errors = [line for before, line in zip(["", *lines], lines[:start], strict=False) if _is_error(line, before)]
    return [*list(dict.fromkeys(errors))[-count:], *lines[start:end]]


def _is_error(line: str, before: str) -> bool:
    """Tell whether a line has an error, or is the second line of a Java exception's message, with what is invalid."""
    return bool(_ERROR_LINE.search(line)) or ("Caused by:" in before and not _STACK_TRACE.match(line))


def epoch_seconds(timestamp: str) -> float:
    """Return a timestamp of Docker Engine in epoch seconds; it has nanoseconds, Python reads microseconds."""
    day, _, fraction = timestamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{day}+00:00").timestamp() + float(f"0.{fraction or 0}")
