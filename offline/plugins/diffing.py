"""Diff: compares what the state holds with what the program wants, as the real plugin's framework does.

Its rules: a value that is not given equals its type's zero; one the engine fills in (`computed`) may be left out; sets
have no order; texts are compared as written ("60s" is not "1m0s"). A value not known yet counts as changed, except
where the engine could fill it in (environment, labels): so a container replaced before its network is deleted is
planned as such, and one whose environment names another container is replaced only if that name turns out different.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi.runtime.proto import provider_pb2

from offline.plugins.checking import DEFAULTS
from offline.plugins.table import Property, Table
from offline.plugins.wire import Properties, has_unknown


@dataclass(frozen=True)
class Change:
    """One property that differs; `kind` is ADD, UPDATE or DELETE."""

    key: str
    kind: str
    replace: bool


def diff(table: Table, olds: Properties, news: Properties, ignored: tuple[str, ...] = ()) -> list[Change]:
    """Return the changes between a state and complete inputs, by property name."""
    changes = []
    for key, prop in sorted(table.items()):
        if key in ignored:
            continue
        kind = _kind(key, prop, olds.get(key), news.get(key))
        if kind:
            changes.append(Change(key, kind, prop.replace))
    return changes


def response(
    table: Table, changes: list[Change], news: Properties, always_delete_first: bool
) -> provider_pb2.DiffResponse:
    """Return the engine's form of the changes, with what is to happen first when the resource is replaced.

    Delete first where two could not live side by side: the plugin says so for all of a type, or the name is given.
    """
    replaces = [change.key for change in changes if change.replace]
    filled = news.get(DEFAULTS) or []
    fixed_name = any(prop.autoname and key in news and key not in filled for key, prop in table.items())
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if changes else provider_pb2.DiffResponse.DIFF_NONE,
        replaces=replaces,
        diffs=[change.key for change in changes],
        detailedDiff={change.key: provider_pb2.PropertyDiff(kind=_wire_kind(change)) for change in changes},
        hasDetailedDiff=True,
        deleteBeforeReplace=bool(replaces) and (always_delete_first or fixed_name),
    )


def changed(table: Table, key: str, olds: Properties, news: Properties) -> bool:
    """Tell whether one property differs."""
    return _kind(key, table[key], olds.get(key), news.get(key)) is not None


def _wire_kind(change: Change) -> provider_pb2.PropertyDiff.Kind.ValueType:
    name = change.kind + ("_REPLACE" if change.replace else "")
    return provider_pb2.PropertyDiff.Kind.Value(name)


def _kind(key: str, prop: Property, old: Any, new: Any) -> str | None:  # noqa: ANN401 - as wide as JSON
    if new is None:
        new = prop.default
    if _fills_in(prop, old, new):
        return None
    if not has_unknown(new):
        # A list that a failed create has left out of the state is to be computed still, which is a change.
        to_compute = new is None and old is None and prop.type.endswith("List") and (prop.computed or prop.output)
        if (_same(key, prop, old, new) and not to_compute) or (prop.emptyKeeps and not new):
            return None
    if old is None or old in ("", [], {}):
        return "ADD"
    return "DELETE" if new is None else "UPDATE"


def _fills_in(prop: Property, old: Any, new: Any) -> bool:  # noqa: ANN401 - as wide as JSON
    """Tell whether the engine's own value stands: none is wanted, or none is known and the engine could fill it in."""
    if new is None:
        return (prop.computed or prop.output) and (old is not None or not prop.type.endswith("List"))
    one_by_one = prop.type == "stringList" and isinstance(new, list)
    return prop.computed and old is not None and has_unknown(new) and not one_by_one


def _same(key: str, prop: Property, old: Any, new: Any) -> bool:  # noqa: ANN401 - as wide as JSON
    if key == "ports" and isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        # A port the engine has chosen is compared with nothing.
        chosen = {each.get("internal") for each in new if each.get("external") is None}
        old = [{**each, "external": None} if each.get("internal") in chosen else each for each in old]
    return bool(_normal(prop, old) == _normal(prop, new))


def _normal(prop: Property, value: Any) -> Any:  # noqa: ANN401 - as wide as JSON
    """Return a value in the one form in which equal values are equal; None for everything that counts as not given."""
    if prop.many:
        each = [_normal_one(prop, one) for one in value or []]
        texts = [json.dumps(one, sort_keys=True) for one in each]
        return (sorted(set(texts)) if prop.type.endswith("Set") else texts) or None
    return _normal_one(prop, value)


def _normal_one(prop: Property, value: Any) -> Any:  # noqa: ANN401 - as wide as JSON
    if prop.of and isinstance(value, Mapping):
        members = {k: _normal(member, value.get(k, member.default)) for k, member in prop.of.items()}
        # An object with only empty members is there all the same, except for the members themselves.
        return {k: member for k, member in members.items() if member is not None}
    if isinstance(value, Mapping):
        return {k: inner for k, inner in sorted(value.items()) if inner is not None} or None
    return None if _empty(value) else value


def _empty(value: object) -> bool:
    return value is None or value in ("", [], {}, 0)  # of which False is one
