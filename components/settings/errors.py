"""From wrong settings to the text a person reads. Pure."""

import difflib
import json
import re
import shlex
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from components.dhis2.dump_url import redacted_url
from components.settings import validators

SECRET_KEYS = frozenset({"adminPassword"})
# Their values may be other systems' secrets, so messages name keys only.
NEVER_SHOWN = SECRET_KEYS | {"dhisConf"}

_LONGEST_SHOWN = 80


class Mistake(NamedTuple):
    """One wrong setting: its key, what is wrong, and the command that mends it."""

    key: str
    text: str
    command: str


# Why a lower bound is where it is; the reader sees it when going below.
_WHY_AT_LEAST = {
    "coreMemory": "Tomcat and the web application do not start in less",
    "databaseMemory": "a load of the dump is killed in less",
    "cacheMemory": "sessions are refused when the cache is full",
    "readyTimeout": "no DHIS2 starts in less",
    "cores": "somebody has to serve; to stop all: pulumi destroy",
}
_WHY_AT_MOST = {
    "replicas": "DHIS2 reads from at most 5",
    "coreMemory": "the unit is MB",
    "databaseMemory": "the unit is MB",
    "cacheMemory": "the unit is MB",
}


def unknown(key: str, fields: Collection[str]) -> Mistake:
    """The mistake of a key nobody knows, with the one that may have been meant."""
    by_lower = {known.lower(): known for known in fields}
    near = difflib.get_close_matches(key.lower().replace("_", "").replace("-", ""), by_lower, n=1)
    hint = f" (did you mean {by_lower[near[0]]}?)" if near else ""
    return Mistake(key, f"there is no such setting{hint}", f"pulumi config rm {shlex.quote(key)}")


def mistakes_of(
    error: ValidationError, values: Mapping[str, object], hidden: Collection[str], fields: Mapping[str, FieldInfo]
) -> tuple[list[Mistake], set[str]]:
    """The mistakes pydantic found, and the keys that have one. Values of `hidden` keys are not shown."""
    mistakes: list[Mistake] = []
    wrong_keys: set[str] = set()
    for detail in error.errors(include_url=False):
        key = str(detail["loc"][0])
        wrong_keys.add(key)
        shown = "its value" if key in hidden else _shown(values.get(key))
        context = detail.get("ctx", {})
        cause = context.get("error")
        wrongs = cause.wrongs if isinstance(cause, validators.WrongMany) else [cause]
        for wrong in wrongs:
            if isinstance(wrong, validators.Wrong):
                # A value to set instead is often made from the one given, so a hidden one is not offered.
                value = None if key in hidden and wrong.value else wrong.value
                command = wrong.command or _command(key, value, fields)
                text = f"{wrong.subject or shown} {wrong.text}{_allowed(fields[key])}"
                mistakes.append(Mistake(key, text, command))
            else:
                mistakes.append(
                    Mistake(key, f"{shown} {_out_of_range(key, context, fields)}", _command(key, None, fields))
                )
    return mistakes, wrong_keys


def _out_of_range(key: str, context: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> str:
    low, high = limits(fields[key])
    why = (_WHY_AT_LEAST if "ge" in context else _WHY_AT_MOST).get(key)
    return f"is not from {low} to {high}" + (f" ({why})" if why else "")


def _allowed(field: FieldInfo) -> str:
    low, high = limits(field)
    return "" if low is None else f"; {low} to {high} are allowed"


def limits(field: FieldInfo) -> tuple[int | None, int | None]:
    """The least and greatest value a number may have; None where it is no number."""
    found = {name: getattr(rule, name) for rule in field.metadata for name in ("ge", "le") if hasattr(rule, name)}
    return found.get("ge"), found.get("le")


def _command(key: str, value: str | None, fields: Mapping[str, FieldInfo]) -> str:
    if key in SECRET_KEYS:
        return f"pulumi config set --secret {key}"  # asks for it: no secret on a command line
    if value == validators.UNSET or key == "dhisConf":
        return f"pulumi config rm {key}"
    low, high = limits(fields[key])
    if value and low is not None and high is not None and not low <= int(value) <= high:
        value = None  # what was meant is out of range too
    shown = str(value or (fields[key].examples or [""])[0])
    # What begins with a dash would be taken for an option of pulumi's.
    dashes = "-- " if shown.startswith("-") else ""
    return f"pulumi config set {key} {dashes}{shlex.quote(shown)}"


def _shown(value: object) -> str:
    given = _without_login(value) if isinstance(value, str) else json.dumps(value, default=str)
    given = given if len(given) <= _LONGEST_SHOWN else given[:_LONGEST_SHOWN] + "…"
    return json.dumps(given, ensure_ascii=False) if isinstance(value, str) else given


def _without_login(text: str) -> str:
    """An address without user and password, also one too wrong to be taken apart."""
    plain = re.sub(r"://[^/\s]*@", "://", text)
    try:
        return redacted_url(plain)
    except ValueError:
        return plain.partition("?")[0]


def report(mistakes: list[Mistake], stack: str) -> str:
    """All mistakes below a first line that counts them."""
    count = "1 setting is" if len(mistakes) == 1 else f"{len(mistakes)} settings are"
    where = f' in stack "{stack}"' if stack else ""
    lines = [f"  {mistake.key}: {mistake.text}; mend it with: {mistake.command}" for mistake in mistakes]
    return "\n".join([f"{count} wrong{where}:", *lines])
