"""Formats of strings that the real providers check and compare: Go's durations, ratios, base64."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from fractions import Fraction

NANOSECONDS = {
    "h": 3600 * 10**9,
    "m": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 10**3,
    "\u00b5s": 10**3,  # the micro sign, which Go prints
    "\u03bcs": 10**3,  # the Greek letter, which it reads, too
    "ns": 1,
}
PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
DURATION = re.compile(rf"[-+]?(?:0|(?:{PART.pattern})+)")
SECOND = NANOSECONDS["s"]


def nanoseconds(duration: str) -> int:
    """Return the nanoseconds of one of Go's durations, such as `1m30s` or `1.5h`; raises ValueError."""
    if not DURATION.fullmatch(duration):
        raise ValueError(duration)
    total = sum(int(Fraction(number) * NANOSECONDS[unit]) for number, unit in PART.findall(duration))
    return -total if duration.startswith("-") else total


def duration(count: int) -> str:
    """Return nanoseconds as Go prints them: `0s`, `1.5s`, `250ms`, `1m0s`, `1h0m0s`."""
    if 0 < count < SECOND:
        unit = next(unit for unit in ("ms", "\u00b5s", "ns") if count >= NANOSECONDS[unit])
        return f"{_decimal(count, NANOSECONDS[unit])}{unit}"
    minutes, rest = divmod(count, NANOSECONDS["m"])
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, SECOND)}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def short_duration(count: int) -> str:
    """Return nanoseconds as the provider writes those of services: as Go, without zeros at the end: `1m`, `1h`."""
    text = duration(count)
    for zeros in ("m0s", "h0m"):
        text = text[:-2] if text.endswith(zeros) else text
    return text


def _decimal(count: int, unit: int) -> str:
    whole, rest = divmod(count, unit)
    digits = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def _duration_fault(value: str) -> str:
    try:
        return "duration must not be negative" if nanoseconds(value) < 0 else ""
    except ValueError:
        return "is not a valid duration"


def _ratio_fault(value: str) -> str:
    try:
        return "" if 0 <= float(value) <= 1 else "has to be between 0.0 and 1.0"
    except ValueError:
        return "is not a float"


def _base64_fault(value: str) -> str:
    try:
        decoded(value)
    except ValueError:
        return "is not base64 decodeable"
    return ""


def decoded(text: str) -> bytes:
    """Return the bytes of base64 as Go decodes it, which skips line ends; raises ValueError."""
    try:
        return base64.b64decode(text.replace("\r", "").replace("\n", "").encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not base64") from error


# What is wrong with a value, "" when nothing is; in the words of the docker provider.
FORMATS: Mapping[str, Callable[[str], str]] = {
    "duration": _duration_fault,
    "ratio": _ratio_fault,
    "base64": _base64_fault,
}
