"""Check: refuses what the real provider refuses and what this program does not send, and fills in the defaults."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from offline.plugins.formats import FORMATS
from offline.plugins.property_values import UNKNOWN, Properties, has_unknown
from offline.plugins.resource_schema import Property, Schema

# The real providers list the inputs that they have filled in under this name; Pulumi does not show it.
DEFAULTS = "__defaults"
UNSUPPORTED = "unsupported"


def check(schema: Schema, name: str, news: Properties) -> tuple[Properties, list[str]]:
    """Return the complete inputs of resource `name`, and a reason for each input that is refused."""
    inputs, failures = _object(schema, news, name)
    return {**inputs, DEFAULTS: [key for key in inputs if news.get(key) is None]}, failures


def _object(schema: Schema, news: Mapping[str, Any], path: str) -> tuple[Properties, list[str]]:
    """Return an object with its defaults, and what is refused in it; `path` is where it stands."""
    sent = {key: value for key, value in news.items() if not key.startswith("__") and value is not None}
    inputs: Properties = {}
    failures = [
        f"{_unknown_key(schema, key)}. Examine values at '{path}.{key}'."
        for key in sent
        if key not in schema or _is_no_input(schema[key])
    ]
    for key, prop in schema.items():
        if key in sent and not _is_no_input(prop):
            inputs[key], refused = _value(prop, sent[key], f"{path}.{key}")
            failures += refused
        elif prop.required:
            failures.append(f"Missing required argument. Examine values at '{path}.{key}'.")
        elif prop.default is not None:
            inputs[key] = prop.default
    return inputs, failures


def _is_no_input(prop: Property) -> bool:
    return prop.output or prop.type == UNSUPPORTED


def _unknown_key(schema: Schema, key: str) -> str:
    if schema.complete and key not in schema:
        return "Invalid or unknown key"
    return f"The offline fake provider does not support {key!r}"


def _value(prop: Property, value: Any, path: str) -> tuple[Any, list[str]]:  # noqa: ANN401 - as wide as JSON
    """Return a value in its property's type, and what is refused in it."""
    if value is UNKNOWN:
        return value, []
    if not prop.is_collection:
        return _item(prop, value, path)
    if not isinstance(value, list):
        return value, [f"expected a list, got {value!r}. Examine values at '{path}'."]
    items = [_item(prop, item, path) for item in value]
    return [item for item, _ in items], [reason for _, refused in items for reason in refused]


def _item(prop: Property, value: Any, path: str) -> tuple[Any, list[str]]:  # noqa: ANN401 - as wide as JSON
    if value is UNKNOWN:
        return value, []
    if prop.members and isinstance(value, Mapping):
        return _object(prop.members, value, path)
    try:
        typed = _typed(prop.type, value)
    except ValueError:
        return value, [f"expected type {prop.type}, got {value!r}. Examine values at '{path}'."]
    refused = [] if has_unknown(typed) else [f"{reason}. Examine values at '{path}'." for reason in _rules(prop, typed)]
    return typed, refused


def _typed(kind: str, value: Any) -> Any:  # noqa: ANN401 - as wide as JSON
    """Return the value in its type; numbers and booleans may come as strings, as everywhere in Pulumi."""
    if kind == "map" and isinstance(value, Mapping):
        return {key: item if item is UNKNOWN else _string(item) for key, item in value.items()}
    if kind == "map" or isinstance(value, Mapping | list):
        raise ValueError(value)
    text = _string(value)
    if kind == "int":
        return int(text)
    if kind == "bool":
        if text not in ("true", "false"):
            raise ValueError(value)
        return text == "true"
    return text


def _string(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rules(prop: Property, value: Any) -> Iterator[str]:  # noqa: ANN401 - as wide as JSON
    if prop.pattern and not re.search(prop.pattern, str(value)):
        yield f"'{value}' doesn't match the pattern '{prop.pattern}'"
    if prop.minimum is not None and value < prop.minimum:
        yield f"'{value}' cannot be lower than {prop.minimum}"
    if prop.only is not None and value != prop.only:
        yield f"The offline fake provider supports only {prop.only!r} here"
    if prop.format and (reason := FORMATS[prop.format](value)):
        # A secret is shown by the real provider.
        yield f"'{'[secret]' if prop.secret else value}' {reason}"
