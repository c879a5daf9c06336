"""Preflight of a Docker Swarm: its nodes, their memory and ports, before anything is registered."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from components.database_roles import DatabaseRoles, database_roles
from components.memory import demand, needed_mb
from components.naming import Naming
from components.orchestrator.swarm.architectures import ForeignImage
from components.orchestrator.swarm.nodes import Node, SwarmInfo
from components.orchestrator.swarm.placement import PRIMARY
from components.settings.errors import set_command
from components.settings.model import Settings

# Of a service, as swarmkit checks it; this part has the longest name.
_NAME, LONGEST_NAME, LONGEST_PART = re.compile(r"[a-zA-Z0-9](?:[-_]*[a-zA-Z0-9])*"), 63, "backup-tools"


def swarm_refusals(settings: Settings, naming: Naming, swarm: SwarmInfo) -> Iterator[str]:
    """Yield why a swarm cannot run the stack, each with the command that fixes it."""
    if swarm.refusal:
        yield swarm.refusal
        return
    yield from _name_refusals(naming.of(LONGEST_PART))
    roles = database_roles(settings, naming, swarm)
    settings = roles.applied(settings)
    yield from _node_refusals(settings, swarm)
    yield from _role_refusals(settings, roles, naming, swarm)
    yield from _memory_refusals(settings, swarm)
    takers = [node for node in swarm.nodes if node.takes_tasks]
    if settings.files_place is None and len(takers) > 1:
        yield f"fileStore is a volume of one node, and cores run on any of {len(takers)}. Set one that all of them reach: pulumi config set fileStore s3://BUCKET?endpoint=https://… (keys as secrets: fileStoreAccessKey, fileStoreSecretKey), or nfs://SERVER/EXPORT"
    for key, port in settings.published_ports.items():
        service = swarm.published_ports.get(port)
        if service not in (None, naming.of("lb")):
            yield f"port {port} is published by the service {service}. Choose another: pulumi config set {key} {port + 1}"


def reached_at_node(settings: Settings, swarm: SwarmInfo) -> Settings:
    """Return settings in which users reach a load balancer at its node, where no host name and no URL is set.

    Whatever manager is asked, it is the same one: with another URL all cores would restart.
    """
    if settings.hostname or settings.base_url:
        return settings
    first = next((node.hostname for node in swarm.nodes if node.is_manager), swarm.own)
    node = swarm.find(settings.lb_nodes[0] if settings.lb_nodes else first)
    return settings.model_copy(update={"hostname": node.address}) if node and node.address else settings


def nodes_without_load_balancer(settings: Settings, swarm: SwarmInfo) -> list[str] | None:
    """Return the nodes that `lbNodes` leaves out; None where it names none, for then all managers have one."""
    if not settings.lb_nodes:
        return None
    return [node.hostname for node in swarm.nodes if node.hostname not in settings.lb_nodes]


def architecture_problems(
    settings: Settings, swarm: SwarmInfo, foreign: Sequence[ForeignImage], keys: Mapping[str, str]
) -> tuple[str, list[str]]:
    """Return why images cannot be used on nodes of other architectures, empty where they can, and warnings.

    `keys` are the settings that images come from.
    """
    refused = [each for each in foreign if _is_started_on_foreign_nodes(settings, swarm, each)]
    if refused:
        others = ", ".join(f"pulumi config set {keys[each.image]} …" for each in refused)
        nodes = " ".join(sorted({node.hostname for each in refused for node in each.nodes}))
        return (
            f"the swarm would start images on nodes of another architecture: {'; '.join(map(str, refused))}. Choose others: {others}; or other nodes, and no tasks there: docker node update --availability drain {nodes}",
            [],
        )
    return "", [f"the swarm starts no task of {each}, only on other nodes" for each in foreign]


def load_balancers(settings: Settings, swarm: SwarmInfo) -> int:
    """Return on how many nodes a load balancer runs."""
    return len(set(settings.lb_nodes)) or sum(node.is_manager and node.takes_tasks for node in swarm.nodes)


def _is_started_on_foreign_nodes(settings: Settings, swarm: SwarmInfo, foreign: ForeignImage) -> bool:
    """Tell whether tasks of an image would start on nodes that it is not built for, or on none at all.

    Where a registry reports what it is built for, only nodes that are named count: all else starts on others.
    """
    hostnames = {node.hostname for node in foreign.nodes}
    named = {
        settings.database_image: [settings.primary_node, *settings.replica_nodes],
        settings.cache_image: [settings.cache_node],
        settings.load_balancer_image: settings.lb_nodes,
        settings.backup_image: [settings.primary_node],
    }
    left = [node for node in swarm.nodes if node.takes_tasks and node.hostname not in hostnames]
    return not foreign.registered or not left or not hostnames.isdisjoint(named.get(foreign.image, ()))


def _name_refusals(longest: str) -> Iterator[str]:
    if len(longest) > LONGEST_NAME:
        yield f"a service {longest} would have {len(longest)} characters, and a swarm takes {LONGEST_NAME}. Give the stack a shorter name: pulumi stack rename NAME"
    elif not _NAME.fullmatch(longest):
        yield f"a swarm takes no service {longest}, only letters, digits, - and _. Give the stack another name: pulumi stack rename NAME"


def _role_refusals(settings: Settings, roles: DatabaseRoles, naming: Naming, swarm: SwarmInfo) -> Iterator[str]:
    primary, new = swarm.deployed.get(naming.of(PRIMARY)), settings.primary_node
    if primary is not None and primary.node not in ("", new) and roles.change is None:
        yield f"primaryNode: the database is in a volume of {primary.node}, and {new} has no replica that could take its place. Set it again: pulumi config set primaryNode {primary.node}. To move it, have a replica on {new} first (replicaNodes), then set primaryNode"


def _named(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the nodes that settings name, each with its key."""
    if settings.primary_node:
        yield "primaryNode", settings.primary_node
    yield from (("replicaNodes", name) for name in settings.replica_nodes)
    if settings.cache_node:
        yield "cacheNode", settings.cache_node
    yield from (("lbNodes", name) for name in settings.lb_nodes)


def _node_refusals(settings: Settings, swarm: SwarmInfo) -> Iterator[str]:
    listed = "; ".join(str(node) for node in swarm.nodes)
    twice = [name for name, count in Counter(node.hostname for node in swarm.nodes).items() if count > 1]
    for key, name in _named(settings):
        node = swarm.find(name)
        if node is None:
            yield f"{key}: the swarm has no node {name}. Its nodes: {listed}. Set one: {set_command(key)}"
        elif name in twice:
            yield f"{key}: the swarm has more than one node {name}. Its nodes: {listed}. Give each a name of its own: hostnamectl set-hostname NAME, there"
        elif not node.takes_tasks:
            yield f"{key}: the node {name} takes no tasks. Its nodes: {listed}. Start it; if it is drained: docker node update --availability active {name}"


def _memory_refusals(settings: Settings, swarm: SwarmInfo) -> Iterator[str]:
    takers = [node for node in swarm.nodes if node.takes_tasks]
    pinned = Counter(dict.fromkeys([settings.primary_node or ""], settings.database_memory_mb))
    for name in settings.replica_nodes:
        pinned[name] += settings.database_memory_mb
    for name, databases_mb in pinned.items():
        node = swarm.find(name)
        if node and node.memory_mb and databases_mb > node.memory_mb:
            yield f"the databases on {name} may use {databases_mb} MB of memory, and it has {node.memory_mb} MB. Use less: pulumi config set databaseMemory {_share(node, databases_mb, settings)}"
    largest_mb = max((node.memory_mb for node in takers), default=0)
    if 0 < largest_mb < settings.core_memory_mb:
        yield f"a core may use {settings.core_memory_mb} MB of memory, and the largest node that takes tasks has {largest_mb} MB. Use less: pulumi config set coreMemory {largest_mb}"
    total_mb, balancers = sum(node.memory_mb for node in takers), load_balancers(settings, swarm)
    missing_mb = needed_mb(settings, balancers) - total_mb
    if total_mb and missing_mb > 0:
        fitting = settings.cores - math.ceil(missing_mb / settings.core_memory_mb)
        less = (
            f", or use less: pulumi config set cores {fitting}" if fitting > 0 else ": docker swarm join-token worker"
        )
        yield f"{demand(settings, balancers)}, and the nodes that take tasks have {total_mb} MB. Add a node{less}"


def _share(node: Node, needed_mb: int, settings: Settings) -> int:
    return max(256, node.memory_mb * settings.database_memory_mb // needed_mb)
