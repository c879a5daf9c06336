"""Pulumi.yaml, the committed stack files and the schema say the same as the model."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # its stubs follow another release

from components.dhis2.release import resolve_release
from components.settings.model import setting_fields
from components.settings.parsing import parse_settings
from tools import schema

ROOT = Path(__file__).parents[2]
STACK_FILES = ("Pulumi.dev.yaml", "Pulumi.offline.yaml")


def load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return loaded


def test_pulumi_yaml_declares_the_settings_of_the_model() -> None:
    declared = load("Pulumi.yaml")["config"]
    assert list(declared) == list(setting_fields()), "one list of settings, in one order"
    for key, field in setting_fields().items():
        entry = declared[key]
        default = schema.plain_default(key)
        assert entry["description"] == field.description, f"{key}: one description"
        assert entry["default"] == default and type(entry["default"]) is type(default), f"{key}: one default, one type"


def test_pulumi_yaml_lets_the_program_report_wrong_types() -> None:
    for key, entry in load("Pulumi.yaml")["config"].items():
        expected = "string" if schema.kind(key) == "string" else None
        assert entry.get("type") == expected, (
            f"{key}: the engine stops at the first value that is not of a declared type"
        )
        assert not entry.get("secret"), f"{key}: the engine refuses secret together with a default"


def test_pulumi_yaml_names_the_project_the_schema_is_for() -> None:
    project = load("Pulumi.yaml")
    assert project["name"] == schema.PROJECT
    assert project["runtime"] == {"name": "python", "options": {"toolchain": "pip", "virtualenv": ".venv"}}


def test_the_defaults_of_pulumi_yaml_are_the_defaults_of_the_model() -> None:
    defaults = {key: entry["default"] for key, entry in load("Pulumi.yaml")["config"].items()}
    assert parse_settings(defaults, secret_keys=()) == parse_settings({}), (
        "the engine hands these over when nothing is set"
    )


@pytest.fixture
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(schema.stack_file_schema())
    return Draft202012Validator(schema.stack_file_schema())


@pytest.mark.parametrize("name", STACK_FILES)
def test_a_committed_stack_file_is_valid_and_opens_with_its_schema(name: str, validator: Draft202012Validator) -> None:
    validator.validate(load(name))
    text = (ROOT / name).read_text(encoding="utf-8")
    header, _, path = text.splitlines()[0].partition("$schema=")
    assert header == "# yaml-language-server: " and (ROOT / path) == schema.SCHEMA_FILE, "editors find the schema by it"


def test_the_dev_stack_is_the_latest_development_version_without_a_salt() -> None:
    # As git has it: in a checkout that was deployed from, the file holds a salt and may hold its owner's settings.
    shown = subprocess.run(["git", "show", ":Pulumi.dev.yaml"], cwd=ROOT, capture_output=True, text=True, check=False)
    stack = load("Pulumi.dev.yaml") if shown.returncode else yaml.safe_load(shown.stdout)
    assert stack.keys() == {"config"}, "a committed salt belongs to a passphrase nobody else has"
    assert parse_settings(stack["config"]) == parse_settings({}), "and says what is the default anyway"


def test_the_offline_stack_takes_no_image_from_a_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".offline").mkdir()
    (tmp_path / ".offline" / "sample-dump.sql.gz").write_bytes(b"x")
    settings = parse_settings(load("Pulumi.offline.yaml")["config"])
    images = (settings.image, settings.database_image, settings.cache_image, settings.load_balancer_image)
    assert all((image or "").startswith("dhis2-cluster/") for image in images), f"built here: {images}"
    release = resolve_release(settings.version, settings.image, settings.dump_url)
    assert release.dump_path and not release.warnings(settings.cores, settings.replicas), "nothing contradicts"


def test_the_schema_file_is_current() -> None:
    assert schema.main(["--check"]) == 0, "python -m tools.schema --write"


def test_the_check_notices_a_schema_that_is_not_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schema, "SCHEMA_FILE", tmp_path / "schema" / "stack.schema.json")
    assert schema.main(["--check"]) == 1
    assert "--write" in capsys.readouterr().err, "the message says what to do"
    assert schema.main(["--write"]) == 0 and schema.main(["--check"]) == 0


VALID = [
    {"cores": "2", "keepData": "true", "version": 42},
    {"adminPassword": {"secure": "v1:abc"}, "dumpUrl": {"secure": "v1:abc"}},
    {"dhisConf": {"max.sessions.per_user": 5, "oidc.secret": {"secure": "v1:x"}, "monitoring": {"api.enabled": "on"}}},
]
INVALID = [
    {"cores": 17},
    {"cores": "two"},
    {"cores": 1.5},
    {"core": 1},
    {"keepData": "yes"},
    {"version": 2.4},
    {"adminPassword": "in clear"},
    {"dhisConf": {"redis.enabled": "on"}},
    {"dhisConf": "on"},
]


@pytest.mark.parametrize("config", VALID, ids=str)
def test_the_schema_takes_what_the_model_takes(config: dict[str, object], validator: Draft202012Validator) -> None:
    validator.validate(
        {"config": {f"dhis2-cluster:{key}": value for key, value in config.items()} | {"docker:host": "x"}}
    )


@pytest.mark.parametrize("config", INVALID, ids=str)
def test_the_schema_marks_what_the_model_refuses(config: dict[str, object], validator: Draft202012Validator) -> None:
    stack = {"config": {f"dhis2-cluster:{key}": value for key, value in config.items()}}
    assert not validator.is_valid(stack), "an editor should mark this"


def test_the_readme_table_has_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert schema.main(["--table"]) == 0
    rows = capsys.readouterr().out.strip().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(setting_fields())
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows), "four columns in every row"
