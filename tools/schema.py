"""What other files say about the settings, made from the model: the JSON schema of stack files, the README's table.

`python -m tools.schema --write | --write-readme | --check | --table`. Editors check `Pulumi.<stack>.yaml` with the
schema.
"""

import argparse
import json
import sys
from pathlib import Path

from pydantic.fields import FieldInfo

from components.dhis2.dhis_conf_keys import OWNED_KEYS
from components.settings.errors import SECRET_KEYS, limits
from components.settings.model import Settings, setting_fields

PROJECT = "dhis2-cluster"
SCHEMA_FILE = Path(__file__).parent.parent / "schema" / "stack.schema.json"
README = Path(__file__).parent.parent / "README.md"
# What stands between these two lines of the README is the table.
TABLE_BEGIN, TABLE_END = "<!-- settings: python -m tools.schema --write-readme -->", "<!-- end of settings -->"

Schema = dict[str, object]

_SECURE: Schema = {"$ref": "#/$defs/secure"}
_TEXT_BY_DEFAULT_OF_NONE = {
    "image": "from `version`",
    "dumpUrl": "from `version`",
    "baseUrl": "from `bind` and `port`",
    "adminPassword": "the dump's own",
    "dockerHost": "the local engine",
}


def kind(key: str) -> str:
    """The JSON type of a setting: integer, boolean, object or string."""
    default = setting_fields()[key].default
    if isinstance(default, bool):
        return "boolean"
    if isinstance(default, int):
        return "integer"
    return "object" if isinstance(default, dict) else "string"


def plain_default(key: str) -> object:
    """The default as Pulumi.yaml writes it: empty text for an optional setting, for a key without one is required."""
    default = setting_fields()[key].default
    return "" if default is None else default


def stack_file_schema() -> Schema:
    """JSON schema (draft 2020-12) of `Pulumi.<stack>.yaml`: our keys checked, other namespaces left alone."""
    fields = setting_fields()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Stack file of {PROJECT}",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": {f"{PROJECT}:{key}": _property(key, field) for key, field in fields.items()},
                "patternProperties": {f"^(?!{PROJECT}:)[^:]+:.+$": {}},
                "additionalProperties": False,
            },
            "encryptionsalt": {"type": "string"},
            "encryptedkey": {"type": "string"},
            "secretsprovider": {"type": "string"},
            "environment": {},
        },
        "additionalProperties": False,
        "$defs": {
            "secure": {
                "description": "A value stored by pulumi config set --secret",
                "type": "object",
                "properties": {"secure": {"type": "string"}},
                "required": ["secure"],
                "additionalProperties": False,
            },
            "dhisConf": {
                "description": "Nested maps are joined with dots",
                "type": "object",
                "additionalProperties": {
                    "anyOf": [
                        {"type": ["string", "integer", "number", "boolean"]},
                        _SECURE,
                        {"$ref": "#/$defs/dhisConf"},
                    ]
                },
            },
        },
    }


def settings_table() -> str:
    """The settings as a Markdown table for the README."""
    rows = ["| Setting | Default | Values | Meaning |", "| --- | --- | --- | --- |"]
    for key, field in setting_fields().items():
        low, high = limits(field)
        values = {"boolean": "true, false", "object": "map", "string": "text"}.get(kind(key), f"{low} to {high}")
        values = "secret" if key in SECRET_KEYS else values
        meaning = (field.description or "").replace("<", "&lt;").replace("|", "\\|")
        rows.append(f"| `{key}` | {_shown_default(key)} | {values} | {meaning} |")
    return "\n".join(rows)


def with_table(readme: str) -> str:
    """The README's text with the table as it is now. Raises ValueError when the lines around it are not there."""
    before, begin, rest = readme.partition(TABLE_BEGIN)
    _, end, after = rest.partition(TABLE_END)
    if not end:
        raise ValueError(f"{README.name} needs a line {TABLE_BEGIN} and below it a line {TABLE_END}")
    return f"{before}{begin}\n{settings_table()}\n{end}{after}"


def schema_text() -> str:
    """The schema file's content."""
    return json.dumps(stack_file_schema(), indent=2, ensure_ascii=False) + "\n"


def _shown_default(key: str) -> str:
    default = plain_default(key)
    if key in _TEXT_BY_DEFAULT_OF_NONE:
        return _TEXT_BY_DEFAULT_OF_NONE[key]
    return "none" if default in ("", {}) else f"`{json.dumps(default).strip(chr(34))}`"


def _property(key: str, field: FieldInfo) -> Schema:
    """What one key may be. `pulumi config set` stores numbers and booleans as text; any value may be encrypted."""
    low, high = limits(field)
    whole: Schema = {"type": "integer", "minimum": low, "maximum": high}
    forms: dict[str, list[Schema]] = {
        "integer": [whole, {"type": "string", "pattern": "^[0-9]{1,18}$"}],
        "boolean": [{"type": "boolean"}, {"enum": ["true", "false"]}],
        "object": [{"$ref": "#/$defs/dhisConf", "propertyNames": {"not": {"pattern": _owned_pattern()}}}],
        # 2.40 without quotes is the number 2.4 to YAML, so a version must be text (or a line's whole number).
        "string": [{"type": "string"}],
    }
    allowed = [_SECURE] if key in SECRET_KEYS else [*forms[kind(key)], _SECURE]
    if key == "version":
        allowed.insert(1, {"type": "integer"})
    found: Schema = {"description": field.description, "anyOf": allowed}
    if plain_default(key) != "":
        found["default"] = plain_default(key)
    return found


def _owned_pattern() -> str:
    return "^(" + "|".join(pattern for pattern, _ in OWNED_KEYS) + ")$"


def stale() -> list[str]:
    """What is not current, one line each with the command that makes it so."""
    lines = []
    if not SCHEMA_FILE.is_file() or SCHEMA_FILE.read_text(encoding="utf-8") != schema_text():
        lines.append(f"{SCHEMA_FILE.name} is not current: python -m tools.schema --write")
    readme = README.read_text(encoding="utf-8")
    if readme != with_table(readme):
        lines.append(f"the settings in {README.name} are not current: python -m tools.schema --write-readme")
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Prints the table, writes the schema file or the README's table, or checks both. Returns 1 when one is stale."""
    parser = argparse.ArgumentParser(prog="python -m tools.schema", description=Settings.__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help=f"write {SCHEMA_FILE.name}")
    action.add_argument("--write-readme", action="store_true", help=f"write the table of settings in {README.name}")
    action.add_argument("--check", action="store_true", help="fail when one of the two is not current")
    action.add_argument("--table", action="store_true", help="print the README's table of settings")
    chosen = parser.parse_args(arguments)
    if chosen.table:
        print(settings_table())
    elif chosen.write:
        SCHEMA_FILE.parent.mkdir(exist_ok=True)
        SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    elif chosen.write_readme:
        README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        found = stale()
        print("\n".join(found), end="\n" if found else "", file=sys.stderr)
        return min(len(found), 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
