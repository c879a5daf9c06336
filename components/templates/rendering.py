"""Render the files that are uploaded into containers: `files/` of each part, Jinja2 templates with StrictUndefined."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from components.templates.escaping import FILTERS

COMPONENTS = Path(__file__).parents[1]


def render(name: str, **values: object) -> str:
    """Return the text of `<part>/<file>`, which is components/<part>/files/<file>; a template (`.j2`) gets `values`.

    Raises jinja2.UndefinedError when the template uses a value that is not an argument.
    """
    path = name.replace("/", "/files/", 1)
    if not name.endswith(".j2"):
        # Not compiled as a template: most files are none, and a script's `${#name}` would begin a comment.
        return (COMPONENTS / path).read_text(encoding="utf-8")
    return _environment().get_template(path).render(values)


def file_names(part: str, *suffixes: str) -> list[str]:
    """Return the names of a part's files that end in one of `suffixes`."""
    return sorted(path.name for path in (COMPONENTS / part / "files").iterdir() if path.name.endswith(suffixes))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(COMPONENTS),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
    )
    environment.filters.update(FILTERS)
    return environment
