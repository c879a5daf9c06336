"""From what Pulumi delivers to Settings."""

import difflib
import shlex
from collections.abc import Collection, Mapping

from pydantic import ValidationError

from components.settings.consistency import consistency_errors
from components.settings.errors import SettingError, secret_command, setting_error
from components.settings.model import Settings, is_secret, setting_fields
from components.settings.validators import UNSET

PRIVATE_KEY = "PRIVATE KEY-----"
_SIMILAR_NAMESPACE = 0.85


class SettingsError(ValueError):
    """All setting errors of a stack, one line each, with the command that fixes it, below a line that counts them."""

    def __init__(self, errors: Collection[SettingError], stack: str) -> None:
        one = f'1 setting is invalid in stack "{stack}":'
        many = f'{len(errors)} settings are invalid in stack "{stack}":'
        lines = [f"  {error.key}: {error.text}; fix: {error.command}" for error in errors]
        super().__init__("\n".join([one if len(errors) == 1 else many, *lines]))


def parse_settings(
    raw: Mapping[str, object],
    project: str = "dhis2-cluster",
    *,
    stack: str = "dev",
    secret_keys: Collection[str] | None = None,
    unknown_keys: Collection[str] = (),
) -> Settings:
    """Return a stack's settings from what Pulumi delivers: text, numbers, booleans, maps (also as JSON text).

    Keys may have the namespace of the project; those of other namespaces (`docker:host`) are ignored. `secret_keys` are
    the keys that are stored encrypted, None where that is unknown: their values are in no message, and a secret that is
    not one of them, or the text of a private key, is an error. `unknown_keys` are set to values that are not here: they
    have their default, and no consistency rule is applied to them. Raises SettingsError with all errors at once.
    """
    values, errors = _own_values(raw, project)
    encrypted = {key.rpartition(":")[2] for key in secret_keys or ()}
    fields = setting_fields()
    hidden = encrypted.union(key for key, field in fields.items() if not field.repr)
    errors += [
        SettingError(key, "its value is stored as plaintext", secret_command(key))
        for key, value in values.items()
        if secret_keys is not None and key in fields and (is_secret(fields[key]) or PRIVATE_KEY in str(value))
        if key not in encrypted and value not in (*UNSET, {}, "{}")
    ]
    invalid: set[str] = set()
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        by_field = [setting_error(detail, values, hidden) for detail in error.errors(include_url=False)]
        errors += by_field
        invalid = {setting.key for setting in by_field}
        settings = Settings.model_validate({key: value for key, value in values.items() if key not in invalid})
    unknown = {key.rpartition(":")[2] for key in unknown_keys}
    errors += consistency_errors(settings, invalid | unknown, hidden)
    if errors:
        raise SettingsError(errors, stack)
    return settings


def _own_values(raw: Mapping[str, object], project: str) -> tuple[dict[str, object], list[SettingError]]:
    """Return the values by key without namespace, and errors of namespaces that are nearly the project's."""
    values: dict[str, object] = {}
    errors: list[SettingError] = []
    for full_key, value in raw.items():
        namespace, _, key = full_key.rpartition(":")
        if namespace in ("", project):
            values[key] = value
        elif difflib.SequenceMatcher(None, namespace.lower(), project.lower()).ratio() >= _SIMILAR_NAMESPACE:
            text = f"is a setting of the project {namespace!r}, this one is {project!r}"
            errors.append(SettingError(full_key, text, f"pulumi config rm {shlex.quote(full_key)}"))
    return values, errors
