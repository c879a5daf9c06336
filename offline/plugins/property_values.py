"""Pulumi's property values: between protobuf structs and plain Python."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import struct_pb2

Properties = dict[str, Any]

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - Pulumi's marker of a secret, no secret
# One marker for each type of an unknown value: bool, number, string, array, object.
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS = {
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    _UNKNOWN,
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
}


class Unknown:
    """A value that a preview does not know yet."""


UNKNOWN: Final = Unknown()


def secret(value: object) -> Properties:
    """Return a value that the Pulumi engine is to keep encrypted."""
    return {_SIGNATURE: _SECRET, "value": value}


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Return plain Python: integers as int, unknown values as UNKNOWN, secrets as their value."""
    return {name: _from_value(value) for name, value in struct.fields.items()}


def _from_value(value: struct_pb2.Value) -> Any:  # noqa: ANN401 - as wide as JSON
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        members = from_struct(value.struct_value)
        return members.get("value") if members.get(_SIGNATURE) == _SECRET else members
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "string_value":
        return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
    return value.bool_value if kind == "bool_value" else None


def to_struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return the struct of properties; those that are None are left out."""
    return struct_pb2.Struct(fields={name: _to_value(value) for name, value in properties.items() if value is not None})


def _to_value(value: Any) -> struct_pb2.Value:  # noqa: ANN401, PLR0911 - as wide as JSON
    match value:
        case Unknown():
            return struct_pb2.Value(string_value=_UNKNOWN)
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case bool():  # before the numbers: bool is an int in Python
            return struct_pb2.Value(bool_value=value)
        case str():
            return struct_pb2.Value(string_value=value)
        case Mapping():
            return struct_pb2.Value(struct_value=to_struct(value))
        case list():
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_to_value(item) for item in value]))
    return struct_pb2.Value(number_value=value)


def has_unknown(value: object) -> bool:
    """Return whether a value is unknown or holds an unknown value."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN
