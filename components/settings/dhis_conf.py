"""The validator of `dhisConf`, the further keys of dhis.conf."""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from components.dhis2.dhis_conf_keys import why_owned
from components.settings.validators import CONTROL_CHARACTER, invalid

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)


def dhis_conf_map(value: object) -> dict[str, str]:
    """Return dhis.conf keys and values of a map or its JSON text, in which Pulumi delivers it.

    Nested maps, which `pulumi config set --path dhisConf.a.b` makes, are joined with dots. All errors are raised
    together. Values are in no message: some are other systems' secrets.
    """
    if isinstance(value, str):
        with suppress(json.JSONDecodeError):
            value = json.loads(value.strip() or "{}")
    if not isinstance(value, Mapping):
        raise invalid("is not a map of dhis.conf keys to values")
    leaves = dict(_leaves(value))
    errors = {keys: error for keys, entry in leaves.items() if (error := _error(keys, entry))}
    if errors:
        details = [InitErrorDetails(type=error, loc=keys, input=None) for keys, error in errors.items()]
        raise ValidationError.from_exception_data("dhisConf", details)
    return {".".join(keys): _text(entry) for keys, entry in leaves.items()}


def remove_command(*keys: str) -> str:
    """Return the command that removes a key, or one of nested maps; without quotes, its dots would be nested maps."""
    return f"pulumi config rm --path {_path(keys)}"


def _path(keys: Iterable[str]) -> str:
    quoted = (json.dumps(key, ensure_ascii=False) for key in keys)
    return shlex.quote(f"dhisConf[{']['.join(quoted)}]")


def _text(entry: object) -> str:
    return ("on" if entry else "off") if isinstance(entry, bool) else str(entry).strip()


def _error(keys: tuple[str, ...], entry: object) -> PydanticCustomError | None:
    key, remove = ".".join(keys), remove_command(*keys)
    if not _KEY.fullmatch(key):
        return invalid("is not a dhis.conf key", subject=json.dumps(key, ensure_ascii=False), command=remove)
    if why := why_owned(key):
        return invalid("is set by this program: {why}", subject=key, command=remove, why=why)
    if not isinstance(entry, str | int | float) or CONTROL_CHARACTER.search(str(entry)):
        example = f"pulumi config set --path {_path(keys)} on"
        return invalid("has a value that is not one line of text", subject=key, command=example)
    return None


def _leaves(value: Mapping[object, object], parents: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield (keys of the nested maps, value) of every leaf."""
    for key, entry in value.items():
        if isinstance(entry, Mapping) and entry:
            yield from _leaves(entry, (*parents, str(key)))
        else:
            yield (*parents, str(key)), entry
