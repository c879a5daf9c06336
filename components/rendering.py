"""The texts of the files that are put into containers: those of components/files, templates (Jinja2) with nothing
undefined. Pure."""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from jinja2 import Environment, PackageLoader, StrictUndefined

from components.escapes import FILTERS

TEMPLATE = ".j2"


def render(name: str, **values: object) -> str:
    """The text of `components/files/<name>`, with `values` filled in when it is a template (`.j2`).

    Raises jinja2.UndefinedError when the template uses a value that is not given.
    """
    if not name.endswith(TEMPLATE):
        # Not compiled as a template: most files are none, and a script's `${#name}` would begin a comment.
        return _folder().joinpath(name).read_text(encoding="utf-8")
    return _environment().get_template(name).render(values)


def names(folder: str, *suffixes: str) -> list[str]:
    """The names of the files in a folder of `components/files` that end in one of `suffixes`."""
    return sorted(each.name for each in (_folder() / folder).iterdir() if each.name.endswith(suffixes))


def _folder() -> Traversable:
    return files("components") / "files"


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
