"""Write what other files contain of the settings: the schema of stack files, Pulumi.yaml and docs/settings.md.

`python -m tools.schema --write | --check`. Editors check `Pulumi.<stack>.yaml` with the schema.
"""

import argparse
import json
import re
import sys
from enum import StrEnum
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from components.dhis2.dhis_conf_keys import OWNED_KEYS, pattern_of
from components.settings.model import Settings, is_secret, setting_fields
from components.settings.quantities import Integer
from components.settings.validators import Unset

PROJECT = "dhis2-cluster"
ROOT = Path(__file__).parent.parent
SCHEMA_FILE = ROOT / "schema" / "stack.schema.json"
PROJECT_FILE = ROOT / "Pulumi.yaml"
SETTINGS_PAGE = ROOT / "docs" / "settings.md"

_SECURE: JsonSchemaValue = {"$ref": "#/$defs/secure"}


class _Forms(GenerateJsonSchema):
    """The forms of each setting: without titles, which repeat the key, and without null, which YAML does not need."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def plain_default(field: FieldInfo) -> object:
    """Return the default as Pulumi.yaml has it: "" for an optional setting, since a key without one is required."""
    return "" if field.default is None else field.default


def stack_file_schema() -> JsonSchemaValue:
    """Return the JSON schema (draft 2020-12) of `Pulumi.<stack>.yaml`; keys of other namespaces may be anything."""
    forms = Settings.model_json_schema(schema_generator=_Forms)["properties"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Stack file of {PROJECT}",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": {f"{PROJECT}:{key}": _property(key, form) for key, form in forms.items()},
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
                    "anyOf": [{"type": ["string", "number", "boolean"]}, _SECURE, {"$ref": "#/$defs/dhisConf"}]
                },
            },
        },
    }


def _property(key: str, schema: JsonSchemaValue) -> JsonSchemaValue:
    """Return what one key may be: its own forms, or a value stored encrypted; for a secret only the latter."""
    about = {name: schema.pop(name, None) for name in ("description", "default", "examples")}
    forms = [] if schema.get("writeOnly") else schema.get("anyOf", [schema])
    if key == "dhisConf":
        owned = [{"pattern": pattern_of(keys)} for keys in OWNED_KEYS]
        forms = [{"$ref": "#/$defs/dhisConf", "propertyNames": {"not": {"anyOf": owned}}}]
    if key == "acmeDnsCredentials":
        forms = [{"type": "object", "additionalProperties": _SECURE}]
    return {name: value for name, value in about.items() if value not in (None, "")} | {"anyOf": [*forms, _SECURE]}


def config_block() -> str:
    """Return the `config` block of Pulumi.yaml."""
    lines = ["config:\n"]
    for key, field in setting_fields().items():
        default = plain_default(field)
        lines += [f"  {key}:\n", "    type: string\n" if isinstance(default, str) else ""]
        lines += [f"    {name}: {json.dumps(value)}\n" for name, value in _about(field)]
    return "".join(lines)


def _about(field: FieldInfo) -> list[tuple[str, object]]:
    return [("description", field.description), ("default", plain_default(field))]


def settings_table() -> str:
    """Return the settings as a Markdown table."""
    rows = ["| Setting | Default | Values | Meaning |", "| --- | --- | --- | --- |"]
    for key, field in setting_fields().items():
        meaning = (field.description or "").replace("<", "&lt;").replace("|", "\\|")
        rows.append(f"| `{key}` | {_default_cell(field)} | {_values_cell(field)} | {meaning} |")
    return "\n".join(rows)


def _default_cell(field: FieldInfo) -> str:
    meanings = [unset.meaning for unset in field.metadata if isinstance(unset, Unset)]
    default = plain_default(field)
    return "".join(meanings) or ("none" if default in ("", {}, ()) else f"`{json.dumps(default).strip(chr(34))}`")


def _values_cell(field: FieldInfo) -> str:
    ranges = [number.values.format(number) for number in field.metadata if isinstance(number, Integer)]
    kinds = {bool: "true, false", dict: "map", tuple: "list"}
    words = ", ".join(type(field.default)) if isinstance(field.default, StrEnum) else ""
    return "secret" if is_secret(field) else "".join(ranges) or words or kinds.get(type(field.default), "text")


def owned_keys_table() -> str:
    """Return the keys that `dhisConf` may not have as a Markdown table."""
    rows = [f"| {', '.join(f'`{key}`' for key in keys)} | {why} |" for keys, why in OWNED_KEYS.items()]
    return "\n".join(["| Key | Why |", "| --- | --- |", *rows])


def generated(text: str, name: str, content: str) -> str:
    """Return a page with the content between its two marker lines. Raises ValueError when these are not there."""
    begin, end = f"<!-- {name}: python -m tools.schema --write -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = text.partition(begin)
    _, marker, after = rest.partition(end)
    if not marker:
        raise ValueError(f"{SETTINGS_PAGE.name} needs the two lines {begin}{end}")
    return f"{before}{begin}\n{content}\n\n{end}{after}"


def current_files() -> dict[Path, str]:
    """Return the files this tool writes, with their current content."""
    page = generated(SETTINGS_PAGE.read_text(encoding="utf-8"), "settings", settings_table())
    project = PROJECT_FILE.read_text(encoding="utf-8")
    return {
        SCHEMA_FILE: json.dumps(stack_file_schema(), indent=2, ensure_ascii=False) + "\n",
        PROJECT_FILE: re.sub(r"^config:\n(  .*\n)*", lambda _: config_block(), project, flags=re.MULTILINE),
        SETTINGS_PAGE: generated(page, "refused keys", owned_keys_table()),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or check them. Return 1 when one is not current."""
    parser = argparse.ArgumentParser(prog="python -m tools.schema", description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write the files")
    action.add_argument("--check", action="store_true", help="fail when a file is not current")
    write = parser.parse_args(arguments).write
    stale = {
        path: text
        for path, text in current_files().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }
    for path, text in stale.items():
        if write:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        else:
            print(f"{path.name} is not current: python -m tools.schema --write", file=sys.stderr)
    return 1 if stale and not write else 0


if __name__ == "__main__":
    sys.exit(main())
