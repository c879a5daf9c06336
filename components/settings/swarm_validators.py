"""The validators of the settings of a Docker Swarm."""

import re

from components.settings.validators import invalid, listed, text

_NODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?", re.ASCII)


def node(value: object) -> str:
    """Return the host name of a node of the swarm, as `docker node ls` prints it."""
    name = text(value)
    if not _NODE.fullmatch(name):
        raise invalid("is no host name of a node; see: docker node ls")
    return name


def nodes(value: object) -> tuple[str, ...]:
    """Return the host names of nodes, in their order, from a list or from text with commas between them."""
    return tuple(node(name) for entry in listed(value) if (name := text(entry)))
