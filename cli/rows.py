"""The rows of `status` about the whole stack, such as its address: to add one, write a function and add it to ROWS."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cli.containers import Inspected, StackContainers


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row above the parts: `text` for people, `value` for scripts (anything JSON has), under the row's name.

    Where `healthy` is false somebody has to act: the row is red and the exit code 1.
    """

    name: str
    text: str
    value: object
    healthy: bool = True


Source = Callable[[StackContainers, Sequence[Inspected]], Row | None]
"""Returns a row, or None where the stack has none, such as one without backups. Called once a minute with --watch."""


def url(containers: StackContainers, _: Sequence[Inspected]) -> Row:
    """Return the address people use."""
    address = containers.target.settings.public_url
    return Row(name="url", text=address, value=address)


ROWS: tuple[Source, ...] = (url,)
