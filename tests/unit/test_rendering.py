"""The texts of the files that are put into containers."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from components import rendering
from components.rendering import render

FILES = Path(rendering.__file__).parent / "files"
PLAIN = [path for path in sorted(FILES.rglob("*")) if path.is_file() and path.suffix not in (".j2", ".py", ".pyc")]


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.name)
def test_what_is_no_template_is_handed_over_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_environment", lambda: pytest.fail("compiled, each time `pulumi` runs"))
    assert render(str(path.relative_to(FILES))) == path.read_text()


def test_a_template_with_a_value_missing_is_an_error_and_no_empty_place() -> None:
    with pytest.raises(UndefinedError):
        render("cache/valkey.conf.j2", password="x", generation="y")  # noqa: S106 - a template's value


def test_a_template_ends_with_the_end_of_its_last_line() -> None:
    text = render("cache/valkey.conf.j2", password="x", generation="y", memory_mb=1)  # noqa: S106 - a template's value
    assert text.endswith("\n"), "some programs do not read a line without"
