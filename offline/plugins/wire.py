"""Pulumi's property values, between protobuf structs and plain Python."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import struct_pb2

Properties = dict[str, Any]

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - Pulumi's marker of a secret, no secret
# One per type of the value that is not known yet; all of them mean the same here.
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS = {
    _UNKNOWN,
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
}


class Unknown:
    """A value that a preview cannot know yet."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


class Secret:
    """A value a plugin hands to the engine to be kept encrypted."""

    def __init__(self, value: object) -> None:
        self.value = value


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Return plain Python: whole numbers as int, unknown values as UNKNOWN, secrets as what they hold."""
    return {name: from_value(value) for name, value in struct.fields.items()}


def from_value(value: struct_pb2.Value) -> Any:  # noqa: ANN401 - as wide as JSON
    """Return one value as plain Python."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        members = from_struct(value.struct_value)
        if members.get(_SIGNATURE) == _SECRET:
            return members.get("value")
        return members
    if kind == "list_value":
        return [from_value(each) for each in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "string_value":
        return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
    return value.bool_value if kind == "bool_value" else None


def to_struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return the struct of properties; those that are None are left out."""
    struct = struct_pb2.Struct()
    for name, value in properties.items():
        if value is not None:
            struct.fields[name].CopyFrom(to_value(value))
    return struct


def to_value(value: Any) -> struct_pb2.Value:  # noqa: ANN401 - as wide as JSON
    """Return one protobuf value."""
    match value:
        case Unknown():
            return struct_pb2.Value(string_value=_UNKNOWN)
        case Secret():
            return to_value({_SIGNATURE: _SECRET, "value": value.value})
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case Mapping():
            return struct_pb2.Value(struct_value=to_struct(value))
        case list():
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[to_value(each) for each in value]))
    return _scalar(value)


def _scalar(value: bool | float | str) -> struct_pb2.Value:
    if isinstance(value, bool):  # before the numbers, of which Python counts it one
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    return struct_pb2.Value(number_value=value)


def has_unknown(value: object) -> bool:
    """Tell whether a value, or anything in it, is not known yet."""
    if isinstance(value, Mapping):
        return any(has_unknown(each) for each in value.values())
    if isinstance(value, list):
        return any(has_unknown(each) for each in value)
    return value is UNKNOWN
