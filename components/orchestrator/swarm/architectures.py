"""Images that are not built for the architecture of nodes."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from docker import DockerClient
from docker.errors import DockerException
from requests.exceptions import RequestException

from components.orchestrator.registry import registry_architectures
from components.orchestrator.swarm.nodes import Node

# What a node reports, as the names of its kernel; images have those of Go.
_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


@dataclass(frozen=True)
class ForeignImage:
    """An image, what it is built for, and the nodes of other architectures.

    `registered`: a registry reports what it is built for, so the swarm starts no task of it on these nodes. Of an image
    that was loaded, the swarm knows nothing.
    """

    image: str
    architectures: Sequence[str]
    nodes: Sequence[Node]
    registered: bool

    def __str__(self) -> str:
        nodes = ", ".join(f"{node.hostname} ({architecture_of(node)})" for node in self.nodes)
        return f"{self.image} (built for {', '.join(self.architectures)}) on {nodes}"


def architecture_of(node: Node) -> str:
    """Return the architecture of a node by the name that images have for it."""
    return _NAMES.get(node.architecture, node.architecture)


def foreign_images(client: DockerClient, images: Iterable[str], nodes: Iterable[Node]) -> list[ForeignImage]:
    """Return the images that are not built for all nodes that take tasks. One of which nothing is known is none."""
    by_architecture: dict[str, list[Node]] = {}
    for node in nodes:
        if node.takes_tasks and node.architecture:
            by_architecture.setdefault(architecture_of(node), []).append(node)
    names = list(images)
    with ThreadPoolExecutor(len(names) or 1) as pool:
        return [*filter(None, pool.map(partial(_foreign, client, by_architecture), names))]


def _foreign(client: DockerClient, nodes: Mapping[str, Sequence[Node]], image: str) -> ForeignImage | None:
    here, offered = "", list[str]()
    with suppress(DockerException, RequestException):
        here = str(client.images.get(image).attrs.get("Architecture") or "")
    if not nodes.keys() - {here}:
        return None  # as nearly always: no registry is asked
    with suppress(DockerException, RequestException):
        offered = registry_architectures(client, image)
    built_for = offered or [here]
    others = [node for architecture, those in nodes.items() if architecture not in built_for for node in those]
    return ForeignImage(image, built_for, others, bool(offered)) if others and built_for != [""] else None
