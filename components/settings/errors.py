"""From pydantic's errors to what you read: one line for each invalid setting, with the command that fixes it."""

import difflib
import json
import re
import shlex
from collections.abc import Collection, Mapping
from typing import NamedTuple

from pydantic_core import ErrorDetails

from components.dhis2.dump_url import redacted_url
from components.settings.model import is_secret, setting_fields
from components.settings.tls_validators import EXAMPLE_VARIABLE

_LONGEST_SHOWN = 80


class SettingError(NamedTuple):
    """One invalid setting: its key, why it is invalid, and the command that fixes it."""

    key: str
    text: str
    command: str


def setting_error(detail: ErrorDetails, values: Mapping[str, object], hidden: Collection[str]) -> SettingError:
    """Return one of pydantic's errors as that of a setting. Values of `hidden` keys are not in it."""
    key, context = str(detail["loc"][0]), detail.get("ctx", {})
    if detail["type"] == "extra_forbidden":
        return _unknown(key)
    shown = "its value" if key in hidden else context.get("shown") or _shown(values.get(key))
    subject = context.get("subject") or shown
    # A value to set instead is often made from the value, so for a hidden one it is the example.
    command = context.get("command") or set_command(key, None if key in hidden else context.get("instead"))
    return SettingError(key, f"{subject} {detail['msg']}", command)


def _unknown(key: str) -> SettingError:
    by_lower = {known.lower(): known for known in setting_fields()}
    near = difflib.get_close_matches(key.lower().replace("_", "").replace("-", ""), by_lower, n=1)
    text = f"there is no such setting (did you mean {by_lower[near[0]]}?)" if near else "there is no such setting"
    return SettingError(key, text, f"pulumi config rm {shlex.quote(key)}")


def set_command(key: str, value: str | None = None) -> str:
    """Return the command that sets a value, by default the setting's example or default, and unsets where is none."""
    field = setting_fields()[key]
    if is_secret(field):
        return secret_command(key)
    value = value or str([*(field.examples or ()), field.default or ""][0])
    if not value:
        return f"pulumi config rm {key}"
    # What begins with a dash would be an option of pulumi's.
    dashes = "-- " if value.startswith("-") else ""
    return f"pulumi config set {key} {dashes}{shlex.quote(value)}"


def secret_command(key: str) -> str:
    """Return the command that stores a secret. It asks for the value: no secret on a command line."""
    variable = shlex.quote(f'{key}["{EXAMPLE_VARIABLE}"]')
    return f"pulumi config set --secret {f'--path {variable}' if setting_fields()[key].default == {} else key}"


def _shown(value: object) -> str:
    text = _without_login(value) if isinstance(value, str) else json.dumps(value, default=str)
    text = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
    return json.dumps(text, ensure_ascii=False) if isinstance(value, str) else text


def _without_login(text: str) -> str:
    """Return an address without user and password, also one that cannot be parsed."""
    plain = re.sub(r"://[^/\s]*@", "://", text)
    try:
        return redacted_url(plain)
    except ValueError:
        return plain.partition("?")[0]
