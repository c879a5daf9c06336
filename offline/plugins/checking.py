"""Check: refuses what the real plugin refuses and fills in what it fills in."""

import base64
import binascii
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from offline.plugins import durations
from offline.plugins.table import Property, Table
from offline.plugins.wire import UNKNOWN, Properties, has_unknown

# Inputs the plugin has filled in are listed under this name, which the console does not show.
DEFAULTS = "__defaults"
NAME_HEX_DIGITS = 7


def check(table: Table, name: str, olds: Properties, news: Properties) -> tuple[Properties, list[str]]:
    """Return the complete inputs of resource `name`, and a reason for everything that is wrong with them."""
    given = {key: value for key, value in news.items() if not key.startswith("__") and value is not None}
    failures = list(_unknown_and_missing(table, name, given))
    inputs: Properties = {}
    filled = []
    for key, prop in table.items():
        if not prop.input:
            continue
        if key in given:
            value, wrong = _read(prop, given[key])
            inputs[key] = value
            failures += [f"{reason}. Examine values at '{name}.{key}'." for reason in wrong]
        elif prop.autoname:
            inputs[key] = olds.get(key) or f"{name}-{secrets.token_hex(4)[:NAME_HEX_DIGITS]}"
            filled.append(key)
        elif prop.default is not None:
            inputs[key] = prop.default
            filled.append(key)
    return {**inputs, DEFAULTS: filled}, failures


def _unknown_and_missing(table: Table, name: str, given: Mapping[str, Any]) -> Iterator[str]:
    for key, value in given.items():
        prop = table.get(key)
        if prop is None or not prop.input:
            yield f"Invalid or unknown key. Examine values at '{name}.{key}'."
        elif prop.unsupported:
            yield f"The offline stand-in of this plugin does not support {key!r}. Examine values at '{name}.{key}'."
        else:
            yield from (f"{reason}. Examine values at '{name}.{key}'." for reason in _nested_keys(prop, value))
    for key, prop in table.items():
        if prop.required and given.get(key) is None:
            yield f"Missing required argument. Examine values at '{name}.{key}'."


def _nested_keys(prop: Property, value: object) -> Iterator[str]:
    if not prop.of:
        return
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, Mapping):
            continue
        for key, inner in each.items():
            if key.startswith("__") or inner is None:
                continue
            if key not in prop.of:
                yield f"Invalid or unknown key ({key!r})"
            else:
                yield from _nested_keys(prop.of[key], inner)
        for key, member in prop.of.items():
            if member.required and each.get(key) is None:
                yield f"Missing required argument ({key!r})"


def _read(prop: Property, value: Any) -> tuple[Any, list[str]]:  # noqa: ANN401 - as wide as JSON
    """Return a value in its property's type, with the defaults of nested objects, and what is wrong with it."""
    if value is UNKNOWN or prop.unsupported:
        return value, []
    if prop.many:
        if not isinstance(value, list):
            return value, [f"expected a list, got {value!r}"]
        read = [_one(prop, each) for each in value]
        return [each for each, _ in read], [reason for _, wrong in read for reason in wrong]
    return _one(prop, value)


def _one(prop: Property, value: Any) -> tuple[Any, list[str]]:  # noqa: ANN401 - as wide as JSON
    if value is UNKNOWN:
        return value, []
    if prop.of and isinstance(value, Mapping):
        members = {key: _read(prop.of[key], inner) for key, inner in value.items() if key in prop.of}
        read = {key: inner for key, (inner, _) in members.items() if inner is not None}
        defaults = {k: member.default for k, member in prop.of.items() if member.default is not None}
        return {**defaults, **read}, [reason for _, wrong in members.values() for reason in wrong]
    try:
        value = _typed(prop, value)
    except ValueError:
        return value, [f"expected type {prop.type}, got {value!r}"]
    return value, [] if has_unknown(value) else list(_rules(prop, value))


def _typed(prop: Property, value: Any) -> Any:  # noqa: ANN401 - as wide as JSON
    """Return the value in its type; numbers and booleans may come as texts, as everywhere in Pulumi."""
    if value is None:
        return None
    if prop.type == "int":
        number = float(value)
        if not number.is_integer():
            raise ValueError(value)
        return int(number)
    if prop.type == "bool":
        if str(value).lower() not in ("true", "false"):
            raise ValueError(value)
        return str(value).lower() == "true"
    if prop.type == "map":
        if not isinstance(value, Mapping):
            raise ValueError(value)
        return {key: inner if inner is UNKNOWN else _text(inner) for key, inner in value.items()}
    if isinstance(value, Mapping | list):
        raise ValueError(value)
    return _text(value)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rules(prop: Property, value: Any) -> Iterator[str]:  # noqa: ANN401 - as wide as JSON
    if prop.pattern and not re.search(prop.pattern, str(value)):
        yield f"'{value}' doesn't match the pattern '{prop.pattern}'"
    if prop.least is not None and value < prop.least:
        yield f"'{value}' cannot be lower than {prop.least}"
    if prop.duration:
        try:
            if durations.parse(value) < 0:
                yield f"'{value}' duration must not be negative"
        except ValueError as error:
            yield str(error)
    if prop.base64:
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            yield "the value is not base64 decodeable"  # which may be a secret
