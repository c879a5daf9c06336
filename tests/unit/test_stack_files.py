"""Pulumi.yaml, the committed stack files, the schema and docs/settings.md agree with the model."""

import shutil
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


def test_pulumi_yaml_lets_the_program_report_invalid_types() -> None:
    declared = load("Pulumi.yaml")["config"]
    assert list(declared) == list(setting_fields()), "one list of settings, in one order"
    for key, entry in declared.items():
        expected = "string" if isinstance(entry["default"], str) else None
        assert entry.get("type") == expected, f"{key}: Pulumi stops at the first value that is not of a declared type"
        assert not entry.get("secret"), f"{key}: Pulumi refuses secret together with a default"


def test_pulumi_yaml_names_the_project_the_schema_is_for() -> None:
    project = load("Pulumi.yaml")
    assert project["name"] == schema.PROJECT
    assert project["runtime"] == {"name": "python", "options": {"toolchain": "pip", "virtualenv": ".venv"}}


def test_the_defaults_of_pulumi_yaml_are_the_defaults_of_the_model() -> None:
    defaults = {key: entry["default"] for key, entry in load("Pulumi.yaml")["config"].items()}
    assert parse_settings(defaults, secret_keys=()) == parse_settings({}), "Pulumi delivers these when nothing is set"


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
    assert stack.keys() == {"config"}, "a committed salt belongs to one user's passphrase"
    assert parse_settings(stack["config"]) == parse_settings({}), "and it has the defaults"


def test_the_offline_stack_takes_no_image_from_a_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".offline").mkdir()
    (tmp_path / ".offline" / "sample-dump.sql.gz").write_bytes(b"x")
    settings = parse_settings(load("Pulumi.offline.yaml")["config"])
    images = (settings.image, settings.database_image, settings.cache_image, settings.load_balancer_image)
    assert all((image or "").startswith("dhis2-cluster/") for image in images), f"built here: {images}"
    release = resolve_release(settings.version, settings.image, settings.dump_url)
    assert release.dump_path and not release.warnings(settings.cores, settings.replicas), "the image is of the version"


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Let the tool write copies of its files."""
    paths = {name: Path(getattr(schema, name)) for name in ("SCHEMA_FILE", "PROJECT_FILE", "SETTINGS_PAGE")}
    for name, path in paths.items():
        paths[name] = Path(shutil.copy(path, tmp_path))
        monkeypatch.setattr(schema, name, paths[name])
    return paths


def test_the_written_files_are_current() -> None:
    assert schema.main(["--check"]) == 0, "python -m tools.schema --write"


@pytest.mark.parametrize(
    ("file", "current", "stale"),
    [
        ("SCHEMA_FILE", '"maximum": 16', '"maximum": 17'),
        ("PROJECT_FILE", "    default: 8080\n", "    default: 8081\n"),
        ("PROJECT_FILE", "  cores:\n", "  kernels:\n"),
        ("SETTINGS_PAGE", "| `cores` | `1` |", "| `kernels` | `1` |"),
        ("SETTINGS_PAGE", "| `redis.*` |", "| `valkey.*` |"),
    ],
)
def test_a_file_that_is_not_current_fails_the_check_and_is_written(
    file: str, current: str, stale: str, copies: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    text = copies[file].read_text(encoding="utf-8")
    copies[file].write_text(text.replace(current, stale), encoding="utf-8")
    assert schema.main(["--check"]) == 1
    assert capsys.readouterr().err == f"{copies[file].name} is not current: python -m tools.schema --write\n"
    assert schema.main(["--write"]) == 0 and schema.main(["--check"]) == 0
    assert copies[file].read_text(encoding="utf-8") == text, "nothing else is changed"


def test_a_schema_that_does_not_exist_is_written(copies: dict[str, Path]) -> None:
    copies["SCHEMA_FILE"].unlink()
    assert schema.main(["--check"]) == 1 and schema.main(["--write"]) == 0 and schema.main(["--check"]) == 0


def test_a_page_without_a_place_for_the_tables_is_refused(copies: dict[str, Path]) -> None:
    copies["SETTINGS_PAGE"].write_text("# Title\n", encoding="utf-8")
    with pytest.raises(ValueError, match="needs the two lines"):
        schema.main(["--write"])


VALID = [
    {"cores": "2", "keepData": "true", "version": 42},
    {"keepData": False, "coreMemory": 3072, "readyTimeout": 900},
    {"coreMemory": "3g", "databaseMemory": "2048MB", "cacheMemory": "256", "readyTimeout": "1h30m"},
    {"coreMemory": "3 GiB", "databaseMemory": "2097152k", "cacheMemory": "268435456b", "readyTimeout": "900s"},
    {"tls": "acme", "hostname": "dhis2.example.org", "acmeDnsCredentials": {"TOKEN": {"secure": "v1:abc"}}},
    {"adminPassword": {"secure": "v1:abc"}, "dumpUrl": {"secure": "v1:abc"}},
    {"dhisConf": {"max.sessions.per_user": 5, "oidc.secret": {"secure": "v1:x"}, "monitoring": {"api.enabled": "on"}}},
]
INVALID = [
    {"cores": 17},
    {"cores": "two"},
    {"cores": 1.5},
    {"core": 1},
    {"keepData": "yes"},
    {"coreMemory": 511},
    {"coreMemory": "1.5g"},
    {"databaseMemory": "2t"},
    {"readyTimeout": "1m30"},
    {"readyTimeout": ""},
    {"version": 2.4},
    {"adminPassword": "in clear"},
    {"dhisConf": {"redis.enabled": "on"}},
    {"tls": "on"},
    {"acmeDnsCredentials": {"CLOUDFLARE_DNS_API_TOKEN": "in clear"}},
    {"dhisConf": {"read1.connection.url": "x"}},
    {"dhisConf": "on"},
]


@pytest.mark.parametrize("config", VALID, ids=str)
def test_the_schema_accepts_what_the_model_accepts(config: dict[str, object], validator: Draft202012Validator) -> None:
    validator.validate(
        {"config": {f"dhis2-cluster:{key}": value for key, value in config.items()} | {"docker:host": "x"}}
    )


@pytest.mark.parametrize("config", INVALID, ids=str)
def test_the_schema_refuses_what_the_model_refuses(config: dict[str, object], validator: Draft202012Validator) -> None:
    stack = {"config": {f"dhis2-cluster:{key}": value for key, value in config.items()}}
    assert not validator.is_valid(stack), "an editor should mark this"


def test_the_settings_table_has_every_setting_with_its_default_and_values() -> None:
    rows = schema.settings_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(setting_fields())
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows), "four columns in every row"
    by_key = {row.split("`")[1]: [cell.strip() for cell in row.split("|")[2:4]] for row in rows}
    assert by_key["coreMemory"] == ["`3072`", "512 to 1048576 MB"]
    assert by_key["readyTimeout"] == ["`900`", "30 to 86400 seconds"]
    assert by_key["image"] == ["from `version`", "text"], "unset is not nothing"
    assert by_key["adminPassword"] == ["the dump's own, or generated", "secret"]
    assert by_key["tls"] == ["`off`", "off, selfSigned, certificate, acme"]
    assert by_key["dhisConf"] == ["none", "map"] and by_key["keepData"] == ["`false`", "true, false"]
