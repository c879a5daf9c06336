"""From what Pulumi delivers to Settings: one function that reads it. Imports no Pulumi."""

import difflib
import json
import shlex
from collections.abc import Collection, Mapping

from pydantic import ValidationError

from components.settings import consistency, validators
from components.settings.errors import NEVER_SHOWN, SECRET_KEYS, Mistake, mistakes_of, report, unknown
from components.settings.model import Settings, setting_fields

_SIMILAR_NAMESPACE = 0.85


class SettingsError(ValueError):
    """Every mistake of a stack's settings, one line each, with the command that mends it."""


def parse_settings(
    raw: Mapping[str, object],
    project: str = "dhis2-cluster",
    *,
    stack: str = "",
    secret_keys: Collection[str] | None = None,
) -> Settings:
    """Settings of a stack from what Pulumi delivers: text, numbers, booleans, maps (also as JSON text).

    Keys may carry the namespace of the project; those of other namespaces (`docker:host`) are not ours. `secret_keys`
    are the keys stored encrypted: their values appear in no message, and a secret outside of it is a mistake; None =
    not known. Raises SettingsError with all mistakes at once.
    """
    values, mistakes = _own_keys(raw, project)
    encrypted = {key.rpartition(":")[2] for key in secret_keys or ()}
    hidden = NEVER_SHOWN | encrypted
    if secret_keys is not None:
        mistakes += [
            Mistake(key, "its value is stored in clear", f"pulumi config set --secret {key}")
            for key in sorted((SECRET_KEYS & values.keys()) - encrypted)
            if values[key] not in (None, validators.UNSET)
        ]
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        found, wrong_keys = mistakes_of(error, values, hidden, setting_fields())
        mistakes += found
        settings = Settings.model_validate({key: values[key] for key in values if key not in wrong_keys})
    else:
        wrong_keys = set()
    mistakes += [
        Mistake(found.keys[0], found.text, found.command)
        for found in consistency.find(settings)
        if not wrong_keys.intersection(found.keys)
    ]
    if mistakes:
        raise SettingsError(report(mistakes, stack))
    return settings


def _own_keys(raw: Mapping[str, object], project: str) -> tuple[dict[str, object], list[Mistake]]:
    """The values by plain key, JSON text of maps read; keys nobody knows as mistakes."""
    fields = setting_fields()
    values: dict[str, object] = {}
    mistakes: list[Mistake] = []
    for full_key, value in raw.items():
        namespace, _, key = full_key.rpartition(":")
        if namespace and namespace != project:
            if difflib.SequenceMatcher(None, namespace.lower(), project.lower()).ratio() >= _SIMILAR_NAMESPACE:
                text = f"belongs to a project {namespace!r}, this one is {project!r}"
                mistakes.append(Mistake(full_key, text, f"pulumi config rm {shlex.quote(full_key)}"))
        elif key not in fields:
            mistakes.append(unknown(key, fields))
        elif key == "dhisConf" and isinstance(value, str):
            values[key] = _json_or_text(value)
        else:
            values[key] = value
    return values, mistakes


def _json_or_text(value: str) -> object:
    try:
        return json.loads(value) if value.strip() else {}
    except json.JSONDecodeError:
        return value
