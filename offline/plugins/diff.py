"""Diff: compares a resource's state with its inputs, by the rules of the real providers' framework.

- A property that is not set equals the zero value of its type; one that the provider computes may be left out.
- Sets have no order. Strings are compared as written: "60s" is not "1m0s".
- So in nested objects. A member of one may replace the resource; in a set that of an item which comes or goes does,
  because the items of a set have no identity.
- An unknown value counts as changed, except where the provider can compute it (environment, labels). So a container is
  planned to be replaced before its network is deleted, and one whose environment names another container is replaced
  only when that name turns out to differ.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pulumi.runtime.proto import provider_pb2

from offline.plugins.property_values import UNKNOWN, Properties, has_unknown
from offline.plugins.resource_schema import Property, Schema

Kind = provider_pb2.PropertyDiff.Kind


def diff(
    schema: Schema, olds: Properties, news: Properties, ignored: Sequence[str], delete_before_replace: bool
) -> provider_pb2.DiffResponse:
    """Return what differs between a state and complete inputs, and whether the resource is replaced for it."""
    news = {**news, **{key: with_computed(schema[key], olds.get(key), news.get(key)) for key in news if key in schema}}
    kinds = {key: _kind(prop, olds.get(key), news.get(key)) for key, prop in schema.items() if key not in ignored}
    changed = sorted(key for key, kind in kinds.items() if kind)
    replaces = [key for key in changed if _replaces(schema[key], olds.get(key), news.get(key))]
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
        replaces=replaces,
        diffs=changed,
        detailedDiff={
            key: provider_pb2.PropertyDiff(kind=Kind.Value(kinds[key] + ("_REPLACE" if key in replaces else "")))
            for key in changed
        },
        hasDetailedDiff=True,
        deleteBeforeReplace=bool(replaces) and delete_before_replace,
    )


def with_computed(prop: Property, old: Any, new: Any) -> Any:  # noqa: ANN401 - as wide as JSON
    """Return a new value with what the provider has computed inside the old one, where nothing is set for it."""
    if prop.type == "object" and isinstance(old, Mapping) and isinstance(new, Mapping):
        kept = {key: old[key] for key, member in prop.members.items() if member.computed and old.get(key) is not None}
        set_ = {key: value for key, value in new.items() if value is not None}
        return kept | {
            key: with_computed(prop.members[key], old.get(key), value) if key in prop.members else value
            for key, value in set_.items()
        }
    if prop.type == "objectList" and isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        item = replace(prop, type="object")
        return [with_computed(item, *pair) for pair in zip(old, new, strict=True)]
    return new


def recorded(prop: Property, written: Any, present: Any) -> Any:  # noqa: ANN401 - as wide as JSON
    """Return what the state takes of a value that was written: the present one, except that sets stay as written."""
    if prop.type == "object" and isinstance(written, Mapping) and isinstance(present, Mapping):
        keys = [key for key in prop.members if key in written or key in present]
        return {key: recorded(prop.members[key], written.get(key), present.get(key)) for key in keys}
    kept = prop.type.endswith("Set") and written is not None
    return written if kept or present is None else present


def _replaces(prop: Property, old: Any, new: Any) -> bool:  # noqa: ANN401 - as wide as JSON
    """Return whether a property that differs replaces the resource: itself, or by a member that differs."""
    if prop.replace or new is UNKNOWN:
        # One that is unknown as a whole may have the same members: its dependencies are deleted while it uses them.
        return prop.replace
    if prop.is_collection:
        items = [{_identity(prop, item): item for item in side or []} for side in (old, new)]
        differing = items[0].keys() ^ items[1].keys()
        return any(_replaces_all(prop, {**items[0], **items[1]}[key]) for key in differing)
    old, new = (value if isinstance(value, Mapping) else {} for value in (old, new))
    return any(
        _replaces(member, old.get(key), new.get(key))
        for key, member in prop.members.items()
        if _kind(member, old.get(key), new.get(key))
    )


def _replaces_all(prop: Property, item: Any) -> bool:  # noqa: ANN401 - as wide as JSON
    """Return whether an item that comes or goes replaces the resource: whether it has a member that does."""
    if not isinstance(item, Mapping):
        return False
    return any(
        member.replace or any(_replaces_all(member, nested) for nested in (value if member.is_collection else [value]))
        for key, member in prop.members.items()
        if (value := item.get(key)) not in (None, "", [], {})
    )


def _identity(prop: Property, item: Any) -> str:  # noqa: ANN401 - as wide as JSON
    return json.dumps(_normal_item(prop, item), sort_keys=True, default=repr)


def _kind(prop: Property, old: Any, new: Any) -> str:  # noqa: ANN401 - as wide as JSON
    """Return how a property differs: ADD, UPDATE, DELETE, or "" when it does not."""
    new = prop.default if new is None else new
    if _keeps_old(prop, old, new):
        return ""
    # A failed create leaves computed lists out of the state: that they are still to be computed is a change.
    to_compute = new is None and old is None and prop.type.endswith("List") and (prop.computed or prop.output)
    if not has_unknown(new) and not to_compute and _normal(prop, old) == _normal(prop, new):
        return ""
    if old is None or old in ("", [], {}):
        return "ADD"
    return "DELETE" if new is None else "UPDATE"


def _keeps_old(prop: Property, old: Any, new: Any) -> bool:  # noqa: ANN401 - as wide as JSON
    """Return whether the old value stands: none is set, or it is unknown and the provider can compute it."""
    if new is None:
        return (prop.computed or prop.output) and (old is not None or not prop.type.endswith("List"))
    ordered = prop.type == "stringList" and isinstance(new, list)
    return prop.computed and old is not None and has_unknown(new) and not ordered


def _normal(prop: Property, value: Any) -> Any:  # noqa: ANN401 - as wide as JSON
    """Return a value in the one form in which equal values are equal; None for everything that equals not set."""
    if not prop.is_collection:
        return _normal_item(prop, value)
    items = [json.dumps(_normal_item(prop, item), sort_keys=True) for item in value or []]
    return (sorted(set(items)) if prop.type.endswith("Set") else items) or None


def _normal_item(prop: Property, value: Any) -> Any:  # noqa: ANN401 - as wide as JSON
    if prop.members and isinstance(value, Mapping):
        members = {key: _normal(member, value.get(key, member.default)) for key, member in prop.members.items()}
        # An object of which every member is zero is set all the same.
        return {key: member for key, member in members.items() if member is not None}
    if prop.format == "ratio" and value:
        return float(value) or None
    return value or None
