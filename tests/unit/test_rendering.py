"""The texts of the files that are put into containers."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from components.templates import rendering
from components.templates.rendering import render

PLAIN = [path for path in sorted(rendering.COMPONENTS.glob("*/files/*")) if path.suffix != ".j2"]


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.name)
def test_what_is_no_template_is_handed_over_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_environment", lambda: pytest.fail("compiled, each time `pulumi` runs"))
    assert render(f"{path.parts[-3]}/{path.name}") == path.read_text()


def test_a_template_with_a_value_missing_is_an_error_and_no_empty_place() -> None:
    with pytest.raises(UndefinedError):
        render("cache/valkey.conf.j2", password="x", generation="y")  # noqa: S106 - a template's value


def test_a_template_ends_with_the_end_of_its_last_line() -> None:
    text = render("cache/valkey.conf.j2", password="x", generation="y", memory_mb=1)  # noqa: S106 - a template's value
    assert text.endswith("\n"), "some programs do not read a line without"
