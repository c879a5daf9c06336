"""Durations in Go's form (`1m0s`), which is how the engine answers and the plugin compares them: as texts."""

import re
from fractions import Fraction

NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def parse(text: str) -> int:
    """Return nanoseconds; ValueError when Go would not read the text as a duration."""
    if text == "0":
        return 0
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    parts = _PART.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise ValueError(f"'{text}' is not a valid duration")
    return sign * int(sum(Fraction(number) * NANOSECONDS[unit] for number, unit in parts))


def go_form(nanoseconds: int) -> str:
    """Return the text Go prints: `0s`, `1.5s`, `1m0s`, `1h0m0s`, `20ms`."""
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < NANOSECONDS["s"]:
        unit = "ms" if nanoseconds >= NANOSECONDS["ms"] else "µs" if nanoseconds >= NANOSECONDS["us"] else "ns"
        return _decimal(nanoseconds, NANOSECONDS[unit]) + unit
    minutes, rest = divmod(nanoseconds, NANOSECONDS["m"])
    hours, minutes = divmod(minutes, 60)
    seconds = _decimal(rest, NANOSECONDS["s"]) + "s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _decimal(number: int, unit: int) -> str:
    whole, rest = divmod(number, unit)
    if not rest:
        return str(whole)
    return f"{whole}.{str(rest).zfill(len(str(unit)) - 1).rstrip('0')}"
