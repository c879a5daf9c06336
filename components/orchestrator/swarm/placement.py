"""On which nodes of a swarm the parts run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

LOAD_BALANCER = "lb"
REPLICA = "replica-"
# They share a volume with the primary, the dump cache or the repository of the backups, or with each other.
BESIDE_THE_PRIMARY = ("primary", "dump", "backup", "backup-tools", "certificates", "acme-web")
PRIMARY, DATA = "primary", "-data"


@dataclass(frozen=True)
class Place:
    """Where a database has its data: the host name of a node, and a volume there."""

    node: str
    volume: str


def database_places(primary_node: str, replica_nodes: Sequence[str]) -> dict[str, Place]:
    """Return the places of the databases by their parts.

    Not named after the part: on another node the primary takes over the data of the replica there. Several databases
    on one node are counted, the primary first.
    """
    places, counted = dict[str, Place](), Counter[str]()
    parts = {PRIMARY: primary_node, **{f"{REPLICA}{number}": node for number, node in enumerate(replica_nodes, 1)}}
    for part, node in parts.items():
        counted[node] += 1
        places[part] = Place(node, "database" + (f"-{counted[node]}" if counted[node] > 1 else "") + DATA)
    return places


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Nodes by their host names. `other_nodes` are those without a load balancer; with None all managers have one."""

    primary_node: str
    replica_nodes: Sequence[str]
    cache_node: str | None
    other_nodes: Sequence[str] | None

    def node_of(self, part: str) -> str | None:
        """Return the node that a part is pinned to, by its volume; None where the swarm chooses."""
        if part in BESIDE_THE_PRIMARY:
            return self.primary_node
        if part.startswith(REPLICA):
            return self.replica_nodes[int(part.removeprefix(REPLICA)) - 1]
        return self.cache_node if part == "cache" else None

    def volume_of(self, part: str) -> str:
        """Return the part that a volume is named after: that of a database after its place."""
        places = database_places(self.primary_node, self.replica_nodes)
        place = places.get(part.removesuffix(DATA)) if part.endswith(DATA) else None
        return place.volume if place else part

    def constraints(self, part: str) -> list[str]:
        """Return the placement constraints of a part. All of them have to be met, so nodes are listed by the others."""
        if part == LOAD_BALANCER:
            others = [f"node.hostname!={node}" for node in self.other_nodes or ()]
            return ["node.role==manager"] if self.other_nodes is None else others
        node = self.node_of(part)
        return [f"node.hostname=={node}"] if node else []

    @staticmethod
    def is_global(part: str) -> bool:
        """Tell whether a part runs once on each of its nodes."""
        return part == LOAD_BALANCER
