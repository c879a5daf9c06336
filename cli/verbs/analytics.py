"""`dhis2-cluster analytics`: build the tables that dashboards read."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.api import NOT_FOUND, Api, ApiError
from cli.errors import FAILED, CommandError
from cli.options import JsonOption, StackOption
from cli.output import progress, result
from cli.target import find

POLL_SECONDS = 2.0
JOB = "ANALYTICS_TABLE"
ENDED = ("COMPLETED", "FAILED", "STOPPED", "DISABLED")


@dataclass(frozen=True)
class Outcome:
    """How a job ended, in DHIS2's words, and DHIS2's reason where it failed."""

    status: str
    reason: str = ""


def analytics(
    wait: Annotated[bool, typer.Option("--wait", help="Show the progress, and wait until the job has ended.")] = False,
    stack: StackOption = "",
    as_json: JsonOption = False,
) -> None:
    """Start the analytics job: dashboards show data that was entered before it.

    With --wait the exit code is 1 when the job fails.
    """
    api = Api(find(stack))
    identifier = str(api.post("/api/resourceTables/analytics")["response"]["id"])
    started = f"analytics job {identifier} started"
    if not wait:
        result(started, {"id": identifier, "status": "STARTED"}, as_json)
        return
    progress(started)
    outcome = follow(api, identifier, lambda moment, text: progress(f"  {moment[11:19]}  {text}"))
    value = {"id": identifier, "status": outcome.status, "reason": outcome.reason}
    if as_json or outcome.status == "COMPLETED":
        result(f"analytics job {identifier} is completed", value, as_json)
    if outcome.status != "COMPLETED":
        reason = outcome.reason or f"DHIS2 gives no reason; see: dhis2-cluster logs core -s {api.target.stack}"
        raise CommandError(f"analytics job {identifier} ended as {outcome.status}: {reason}", FAILED)


def follow(api: Api, identifier: str, show: Callable[[str, str], None]) -> Outcome:
    """Return how a job ended; `show` is called with the time and the text of each of its messages.

    From 2.41 on a job has a record, whose status decides: DHIS2 reports a job it has not begun as completed, too.
    Before, the messages are all there is.
    """
    seen: set[tuple[str, str]] = set()
    errors: list[str] = []
    while True:
        # The record first: once it has ended, all messages are there.
        job = _job(api, identifier)
        messages = api.get(f"/api/system/tasks/{JOB}/{identifier}") or []
        for message in reversed(messages):
            text = str(message.get("message") or "").strip()
            key = (str(message.get("time")), text)
            if text and key not in seen and message.get("level") != "LOOP":
                seen.add(key)
                errors += [text] if message.get("level") == "ERROR" else []
                show(*key)
        if job is None and any(message.get("completed") for message in messages):
            return Outcome("FAILED", "; ".join(errors)) if errors else Outcome("COMPLETED")
        status = str((job or {}).get("lastExecutedStatus", ""))
        if status in ENDED:
            reason = "" if status == "COMPLETED" else "; ".join(errors) or _reason(api, identifier, job or {})
            return Outcome(status, reason)
        time.sleep(POLL_SECONDS)


def _job(api: Api, identifier: str) -> dict[str, Any] | None:
    """Return a job's record; None where there is none."""
    try:
        return dict(api.get(f"/api/jobConfigurations/{identifier}"))
    except ApiError as error:
        if error.status == NOT_FOUND:
            return None
        raise


def _reason(api: Api, identifier: str, job: dict[str, Any]) -> str:
    """Return why a job without an error message failed: of its last step that has an error."""
    try:
        progress = api.get(f"/api/jobConfigurations/{identifier}/progress") or {}
    except ApiError:
        progress = {}
    processes = progress.get("sequence") or []
    steps = [step for process in processes for step in (process, *(process.get("stages") or []))]
    errors = [str(step["error"]) for step in steps if step.get("error")]
    return errors[-1] if errors else str(job.get("errorCodes") or "")
