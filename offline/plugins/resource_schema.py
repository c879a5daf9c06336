"""The schema of a resource: what the real provider declares of each property that this program uses.

Read from a `schema.json` beside each provider. Types: string, int, bool, map, object, stringList, stringSet,
objectList, objectSet. `constants` are inputs that the provider fills in, and accepts in no other value. A resource that
is `complete` names all that the real provider declares, what the fake one does not support as of the type unsupported.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any


class Schema(dict[str, "Property"]):
    """Properties by name. `complete`: the real provider has no others, and says so of any other name."""

    complete: bool = False


@dataclass(frozen=True, kw_only=True)
class Property:
    """One property of a resource, or one member of a nested object (`members`).

    `replace`: a change replaces the resource. `computed`: the provider fills it in when it is not set. `output`: it is
    never an input. `only`: the one value that the program sends, or that the provider fills in as `default`.
    `format`: what a string is, `duration`, `ratio` or `base64`.
    """

    type: str
    replace: bool = False
    computed: bool = False
    output: bool = False
    required: bool = False
    secret: bool = False
    default: Any = None
    only: Any = None
    pattern: str = ""
    format: str = ""
    minimum: int | None = None
    members: Schema = field(default_factory=Schema)

    @property
    def is_collection(self) -> bool:
        """Whether it holds several values, ordered (List) or not (Set)."""
        return self.type.endswith(("List", "Set"))


CONSTANT_TYPES = {str: "string", int: "int", bool: "bool"}


@cache
def schemas(path: Path) -> Mapping[str, Schema]:
    """Return the schema of every resource type in a file."""
    return {name: _schema(properties) for name, properties in json.loads(path.read_text()).items()}


def _schema(properties: Mapping[str, Any], complete: bool = False) -> Schema:
    """Return the schema of an object; one in a complete resource is complete, too."""
    complete = complete or bool(properties.get("complete"))
    constants = {
        name: Property(type=CONSTANT_TYPES[type(value)], default=value, only=value)
        for name, value in properties.get("constants", {}).items()
    }
    declared = {
        name: Property(**{**declaration, "members": _schema(declaration.get("members", {}), complete)})
        for name, declaration in properties.items()
        if name not in ("constants", "complete")
    }
    schema = Schema(constants | declared)
    schema.complete = complete
    return schema
