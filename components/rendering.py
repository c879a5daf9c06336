"""Renders the files that are put into containers: templates in components/files, Jinja2, nothing undefined. Pure."""

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from components.escapes import FILTERS


def render(name: str, **values: object) -> str:
    """The text of `components/files/<name>` with `values` filled in.

    Raises jinja2.UndefinedError when the template uses a value that is not given.
    """
    return _environment().get_template(name).render(values)


def names(folder: str, *suffixes: str) -> list[str]:
    """The names of the files in a folder of `components/files` that end in one of `suffixes`."""
    found = files("components") / "files" / folder
    return sorted(each.name for each in found.iterdir() if each.name.endswith(suffixes))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("components", "files"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
    )
    environment.filters.update(FILTERS)
    return environment
