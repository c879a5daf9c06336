"""The rows of `status` about the whole stack, such as its address: to add one, write a function and add it to ROWS."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cli.containers import Inspected, StackContainers

ANALYTICS = "/opt/dhis2-cluster/analytics.sh"  # of the primary
NOT_RESTORED = "nothing was restored"  # its words


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


def analytics(containers: StackContainers, parts: Sequence[Inspected]) -> Row | None:
    """Return how far the analytics tables are that DHIS2 builds after a restore; a failure ends no service."""
    primary = next((inspected.part for inspected in parts if inspected.part.part == "primary"), None)
    code, output = containers.execute(primary, ["bash", ANALYTICS]) if primary else (1, "")
    text = output.strip()
    return None if code or text == NOT_RESTORED else Row(name="analytics", text=text, value=re.split(r"\W", text)[0])


ROWS: tuple[Source, ...] = (url, analytics)
