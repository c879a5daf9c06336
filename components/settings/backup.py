"""The validators of the settings of backups, and what a schedule means."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from cronsim import CronSim, CronSimError

from components.settings import sftp
from components.settings.validators import CONTROL_CHARACTER, invalid, text

OFF, MANUAL = "off", "manual"
KEPT_DATA_SCHEDULE = "0 2 * * *"  # where keepData is true
UNITS = ("daily", "weekly", "monthly")
MOST_KEPT = 1000
_FIELDS = 5
# Two winters and summers of the rarest schedules that make sense, and an end for those of every minute.
_LONGEST, _MOST_RUNS = timedelta(days=800), 10_000
_REST = re.compile(r"rest:https?://[^/\s]+(/\S*)?")
_S3 = re.compile(r"s3:(https?://)?[^/\s:]+(:\d{1,5})?/[^/\s]+(/\S*)?")


def schedule(value: object) -> str:
    """Return `off`, `manual`, or the five fields of a cron schedule."""
    line = " ".join(text(value).split())
    if line in (OFF, MANUAL):
        return line
    if len(line.split()) != _FIELDS:
        raise invalid("is not a cron schedule of five fields, such as 0 2 * * *, nor off or manual")
    try:
        next(CronSim(line, datetime.now(tz=UTC)))
    except (CronSimError, StopIteration) as error:
        reason = str(error) or "it never runs"
        raise invalid("is not a cron schedule: {reason}", reason=reason) from None
    return line


def longest_gap_seconds(cron: str) -> int:
    """Return the longest time between two runs of a schedule."""
    start = datetime(2025, 1, 1, tzinfo=UTC)
    gap = timedelta()
    for number, (before, after) in enumerate(pairwise(CronSim(cron, start))):
        gap = max(gap, after - before)
        if after - start > _LONGEST or number > _MOST_RUNS:
            break
    return int(gap.total_seconds())


def keep(value: object) -> str:
    """Return how many daily, weekly and monthly sets are kept, as `daily=7 weekly=4 monthly=12`.

    From text with commas or spaces, or from a map, also as JSON.
    """
    if isinstance(value, str):
        with suppress(json.JSONDecodeError):
            value = json.loads(value)
    rules = [f"{unit}={number}" for unit, number in value.items()] if isinstance(value, Mapping) else None
    rules = re.split(r"[,\s]+", text(value)) if rules is None else rules
    kept: dict[str, int] = {}
    for rule in rules:
        unit, _, number = rule.partition("=")
        if unit not in UNITS or not re.fullmatch(r"[0-9]{1,4}", number) or int(number) > MOST_KEPT:
            raise invalid(
                "has {rule}, which is not daily, weekly or monthly and a number to 1000", rule=json.dumps(rule)
            )
        kept[unit] = int(number)
    if not any(kept.values()):
        raise invalid("keeps no set")
    return " ".join(f"{unit}={kept[unit]}" for unit in UNITS if kept.get(unit))


def repository(value: object) -> str:
    """Return the address of a repository as restic writes it: S3, SFTP, or restic's REST server."""
    address = text(value)
    if address.startswith("sftp:"):
        return sftp.address(address)
    if not _S3.fullmatch(address) and not _REST.fullmatch(address):
        raise invalid(
            "is not the address of a repository: s3:https://host/bucket/path, {sftp}, or rest:https://host/path",
            sftp=sftp.FORMS,
        )
    return address


def access_key(value: object) -> str:
    """Return the id of an access key of S3: one word."""
    word = text(value)
    if not re.fullmatch(r"[!-~]+", word):
        raise invalid("is not an access key id, which has no spaces")
    return word


def secret(value: object) -> str:
    """Return a secret on one line."""
    line = value if isinstance(value, str) else ""
    if not line or line != line.strip() or CONTROL_CHARACTER.search(line):
        raise invalid("is not one line of text without spaces at its ends")
    return line
