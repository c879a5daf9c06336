"""Which node of a swarm has which database, and what changes there when `primaryNode` is another one.

The primary moves to a node that has a replica, and takes that one's data over. With the old node up this is a
switch-over: the primary is shut down when the replica has all it wrote. With the old node away the replica is promoted
with what it has received. ADR 17 has the reasons.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from components.naming import Naming
from components.orchestrator.swarm.nodes import SwarmInfo
from components.orchestrator.swarm.placement import PRIMARY, REPLICA, database_places
from components.settings.model import Settings

# Labels of the primary's service: what later runs of the program have to know.
DUMP, DUMP_KEY = "dhis2-cluster.dump", "dhis2-cluster.dump-key"
LEFT_NODE, PROMOTIONS = "dhis2-cluster.left-node", "dhis2-cluster.promotions"


@dataclass(frozen=True, kw_only=True)
class RoleChange:
    """The primary leaves one node for another, whose `replica` (its Docker name) gives its data over.

    With `promotes` the old node takes no tasks. `marker` is what is known of the primary's restore without asking it.
    """

    old_node: str
    new_node: str
    replica: str
    promotes: bool
    marker: str

    def __str__(self) -> str:
        if self.promotes:
            return f"the node {self.old_node} takes no tasks: the replica on {self.new_node} is promoted to the primary, and what it has not received is lost. All cores are deleted first"
        return f"the primary moves from {self.old_node} to {self.new_node}, where the replica takes over: DHIS2 cannot write meanwhile"


@dataclass(frozen=True, kw_only=True)
class DatabaseRoles:
    """The nodes of the databases, and what changes. `leaving` are replicas whose places others take: they end before.

    Passwords are bound to the number of `promotions`: an old primary that comes back knows only those of before. A
    replica that is `left_out` was to be on `left_node`, the node the primary has left last, which takes no tasks.
    """

    primary_node: str
    replica_nodes: tuple[str, ...]
    left_node: str = ""
    left_out: bool = False
    promotions: int = 0
    change: RoleChange | None = None
    leaving: tuple[str, ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the primary's service."""
        facts = {LEFT_NODE: self.left_node, PROMOTIONS: str(self.promotions or "")}
        return {label: value for label, value in facts.items() if value}

    @property
    def warnings(self) -> list[str]:
        """What you should know before the update."""
        found = [str(self.change)] if self.change else []
        if self.left_out:
            found.append(
                f"the node {self.left_node} takes no tasks, so the stack goes on without the replica there. Once it is back: pulumi up"
            )
        return found

    def applied(self, settings: Settings) -> Settings:
        """Return settings with the replicas there are."""
        return settings.model_copy(
            update={"replica_nodes": self.replica_nodes, "replicas": len(self.replica_nodes)},
        )


def database_roles(settings: Settings, naming: Naming, swarm: SwarmInfo) -> DatabaseRoles:
    """Return the databases that the settings lead to, from those that are deployed."""
    new, nodes = settings.primary_node or "", settings.replica_nodes
    primary = swarm.deployed.get(naming.of(PRIMARY))
    if primary is None or not primary.node:
        return DatabaseRoles(primary_node=new, replica_nodes=nodes)
    old = primary.node
    left = old if old != new else primary.labels.get(LEFT_NODE, "")
    if left and left not in nodes and new in nodes:
        # The replica was where the primary is now: each has the node of the other.
        index = nodes.index(new)
        nodes = (*nodes[:index], left, *nodes[index + 1 :])
    left_out = left in nodes and not _takes_tasks(swarm, left)
    if left_out:
        nodes = tuple(node for node in nodes if node != left)
    change = _change(naming, swarm, old, new) if old != new else None
    return DatabaseRoles(
        primary_node=new,
        replica_nodes=nodes,
        left_node=left,
        left_out=left_out,
        promotions=int(primary.labels.get(PROMOTIONS, 0)) + bool(change and change.promotes),
        change=change,
        leaving=tuple(_leaving(naming, swarm, new, nodes)),
    )


def _replica_on(naming: Naming, swarm: SwarmInfo, node: str) -> str | None:
    """Return the Docker name of the first replica on a node; None where there is none."""
    replicas = sorted(name for name in swarm.deployed if name.startswith(naming.of(REPLICA)))
    return next((name for name in replicas if swarm.deployed[name].node == node), None)


def _change(naming: Naming, swarm: SwarmInfo, old: str, new: str) -> RoleChange | None:
    replica = _replica_on(naming, swarm, new)
    if replica is None:
        return None
    labels = swarm.deployed[naming.of(PRIMARY)].labels
    key, name = labels.get(DUMP_KEY, ""), labels.get(DUMP, "")
    marker = f"dump_key={key}\ndump_name={name}\naccepted_key={key}\n"
    return RoleChange(old_node=old, new_node=new, replica=replica, promotes=not _takes_tasks(swarm, old), marker=marker)


def _leaving(naming: Naming, swarm: SwarmInfo, primary_node: str, nodes: tuple[str, ...]) -> Iterator[str]:
    places = database_places(primary_node, nodes)
    owners = {(place.node, naming.of(place.volume)): naming.of(part) for part, place in places.items()}
    for name, service in sorted(swarm.deployed.items()):
        if name.startswith(naming.of(REPLICA)):
            taken_by = {owners.get((service.node, volume), name) for volume in service.volumes}
            if taken_by - {name}:
                yield name


def _takes_tasks(swarm: SwarmInfo, hostname: str) -> bool:
    node = swarm.find(hostname)
    return node is not None and node.takes_tasks
