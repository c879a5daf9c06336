"""Tables of properties: what the real plugins declare of each, read from a `properties.json`.

Types: string, int, bool, map, stringList, stringSet, object, objectList, objectSet. Marks: `replace` a change replaces
the resource; `computed` the engine fills it in when it is not given; `output` is never given; `default`; `required`;
`autoname` is made from the resource's name; `emptyKeeps` an empty text means no change; `unsupported` by the stand-in.
Values are checked against `pattern`, `least`, `duration` (Go's form) and `base64`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Property:
    """One property of a resource, or one member of a nested object (`of`)."""

    type: str
    replace: bool = False
    computed: bool = False
    output: bool = False
    required: bool = False
    autoname: bool = False
    emptyKeeps: bool = False
    unsupported: bool = False
    secret: bool = False
    duration: bool = False
    base64: bool = False
    default: Any = None
    pattern: str | None = None
    least: int | None = None
    of: "Mapping[str, Property]" = field(default_factory=dict)

    @property
    def input(self) -> bool:
        """Tell whether a program may give it."""
        return not self.output

    @property
    def many(self) -> bool:
        """Tell whether it holds a list of values, ordered or not."""
        return self.type.endswith(("List", "Set"))


Table = Mapping[str, Property]


@cache
def tables(path: Path) -> Mapping[str, Table]:
    """Return the table of every resource type in a file."""
    return {name: _table(members) for name, members in json.loads(path.read_text()).items()}


def _table(members: Mapping[str, Any]) -> dict[str, Property]:
    return {name: Property(**{**given, "of": _table(given.get("of", {}))}) for name, given in members.items()}
