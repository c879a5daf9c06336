"""Rendering of the files that are uploaded into containers."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from components.orchestrator.interface import Endpoint
from components.templates import rendering
from components.templates.rendering import render

VALKEY = {"endpoint": Endpoint("cache", 6379), "password": "x", "sessions": "y", "memory_mb": 1}
PLAIN = [path for path in sorted(rendering.COMPONENTS.glob("*/files/*")) if path.suffix != ".j2"]


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.name)
def test_a_file_that_is_no_template_is_uploaded_unchanged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_environment", lambda: pytest.fail("compiled, each time `pulumi` runs"))
    assert render(f"{path.parts[-3]}/{path.name}") == path.read_text()


def test_a_missing_value_is_an_error_and_not_an_empty_string() -> None:
    with pytest.raises(UndefinedError):
        render("cache/valkey.conf.j2", **{name: value for name, value in VALKEY.items() if name != "memory_mb"})


def test_a_rendered_template_ends_with_a_newline() -> None:
    assert render("cache/valkey.conf.j2", **VALKEY).endswith("\n"), "some programs ignore a last line without one"
