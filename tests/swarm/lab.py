"""A Docker Swarm of several nodes on this machine, for tests. Needs root, the docker.io package, and iproute2.

What this kernel lacks, the swarm lacks, too: without IPVS there is no routing mesh and no virtual IP (publish ports in
host mode, use `endpoint_mode: dnsrr`), and without its ciphers encrypted overlay networks carry nothing.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from types import TracebackType
from typing import Any, Self

from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from tests.support.waiting import until
from tests.swarm import images
from tests.swarm.guard import guarded
from tests.swarm.network import Lan
from tests.swarm.node import Node
from tests.swarm.runs import Run

ASK_SECONDS = 5
SWARM_PORT = 2377
READY, DOWN = "ready", "down"
UNREACHABLE = (DockerException, RequestException)
MOVED_ON = "update out of sequence"


class Swarm(AbstractContextManager["Swarm"]):
    """Nodes that have joined one swarm, the first of them as managers. All is removed when the context ends.

    Also after the process of the test was killed: by the guard it has started, else by the next swarm. `address` is
    that of this machine in the nodes' LAN: what listens on it is reached by the containers of all nodes.
    """

    def __init__(
        self, nodes: int = 3, managers: int = 1, *, images: Sequence[str] = (), hostnames: Sequence[str] = ()
    ) -> None:
        """Take how many nodes there are, images that each has, and their hostnames (default `node-1`, …)."""
        assert 1 <= managers <= nodes, f"{managers} managers are not possible with {nodes} nodes"
        self._hostnames = list(hostnames) or [f"node-{number}" for number in range(1, nodes + 1)]
        assert len(set(self._hostnames)) == nodes, f"{nodes} nodes need as many different hostnames, not {hostnames}"
        self._managers, self._images = managers, images
        self._removals = ExitStack()
        self.nodes: list[Node] = []
        self.address = ""

    def __enter__(self) -> Self:
        """Boot the nodes and form the swarm; returns when all nodes are ready."""
        with ExitStack() as removals:
            self.run = Run.claim()
            removals.enter_context(guarded(self.run))
            removals.callback(self.run.release)
            removals.callback(self.run.remove)
            self._build(self.run)
            self._removals = removals.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove everything."""
        self.close()

    def close(self) -> None:
        """Kill all nodes and remove everything the swarm has created on this machine."""
        self._removals.close()

    @property
    def managers(self) -> list[Node]:
        """The nodes that have joined as managers."""
        return self.nodes[: self._managers]

    @property
    def manager(self) -> Node:
        """The first manager that is on and answers. Raises DockerException or RequestException without a quorum."""
        return self._asked()[0]

    @property
    def leader(self) -> Node | None:
        """The manager that is the leader now; None without a quorum."""
        leaders = [each["ID"] for each in self._listed() if each.get("ManagerStatus", {}).get("Leader")]
        return next((node for node in self.nodes if node.id in leaders), None)

    def state(self, node: Node) -> str:
        """Return what the managers take a node for: `ready`, `down`, `unknown`, …; empty without a quorum."""
        return next((str(each["Status"]["State"]) for each in self._listed() if each["ID"] == node.id), "")

    def is_ready(self, node: Node) -> bool:
        """Return whether a node is ready and, if it is a manager, the leader reaches it; False without a quorum."""
        listed = next((each for each in self._listed() if each["ID"] == node.id), {})
        reachability = listed.get("ManagerStatus", {}).get("Reachability")
        wanted = "reachable" if node in self.managers else None
        return bool(listed.get("Status", {}).get("State") == READY and reachability == wanted)

    def wait_until_ready(self) -> None:
        """Wait until all nodes are ready and all managers are reachable."""
        for node in self.nodes:
            until(partial(self.is_ready, node), f"{node.hostname} to be ready")

    def wait_until_down(self, node: Node) -> None:
        """Wait until the managers take a node for down."""
        until(lambda: self.state(node) == DOWN, f"{node.hostname} to be down")

    def restore(self) -> None:
        """Boot what is off, connect and activate all nodes, and wait until they are ready."""
        for node in self.nodes:
            node.connect() if node.is_on else node.launch()
        for node in self.nodes:
            node.wait()
        self.wait_until_ready()
        for node in self.nodes:
            self.activate(node)

    def drain(self, node: Node) -> None:
        """Have no tasks on a node: they move to others."""
        self._update(node, {"Availability": "drain"})

    def activate(self, node: Node) -> None:
        """Have tasks on a node again. None moves back by itself."""
        self._update(node, {"Availability": "active"})

    def label(self, node: Node, **labels: str) -> None:
        """Replace the labels of a node in the swarm, which placement constraints compare (`node.labels.…`)."""
        self._update(node, {"Labels": labels})

    def _build(self, run: Run) -> None:
        lan = Lan(run.name, run.index)
        self.address = lan.host_address
        self.nodes = [
            Node(lan, number, hostname, run.folder / f"node-{number}", run.control_group(f"node-{number}"))
            for number, hostname in enumerate(self._hostnames, start=1)
        ]
        images.put(self._images, [node.data_root for node in self.nodes], run.name)
        lan.build()
        lan.start_resolver()
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait()
        self._form()
        self.wait_until_ready()

    def _form(self) -> None:
        """Have the first node initialise a swarm and the others join it."""
        first = self.nodes[0]
        with closing(first.client()) as client:
            client.swarm.init(advertise_addr=first.address, listen_addr=f"{first.address}:{SWARM_PORT}")
            tokens = client.swarm.attrs["JoinTokens"]
        for node in self.nodes[1:]:
            with closing(node.client()) as client:
                client.swarm.join(
                    remote_addrs=[f"{first.address}:{SWARM_PORT}"],
                    join_token=tokens["Manager" if node in self.managers else "Worker"],
                    advertise_addr=node.address,
                    listen_addr=f"{node.address}:{SWARM_PORT}",
                )
        for node in self.nodes:
            node.id = str(node.info()["NodeID"])

    def _asked(self) -> tuple[Node, list[dict[str, Any]]]:
        """Return a manager that answers, and what it reports of all nodes."""
        failed: Exception = DockerException("no manager of the swarm is on")
        for node in self.managers:
            if not node.is_on:
                continue
            try:
                with closing(node.client(ASK_SECONDS)) as client:
                    return node, [each.attrs for each in client.nodes.list()]  # type: ignore[no-untyped-call]
            except UNREACHABLE as error:
                failed = error
        raise failed

    def _listed(self) -> list[dict[str, Any]]:
        """Return what a manager reports of all nodes; nothing without a quorum."""
        try:
            return self._asked()[1]
        except UNREACHABLE:
            return []

    def _update(self, node: Node, change: dict[str, object]) -> None:
        until(lambda: self._updated(node, change), f"{node.hostname} to be updated with {change}")

    def _updated(self, node: Node, change: dict[str, object]) -> bool:
        """Return whether entries of a node's specification are set; False if a manager has changed it meanwhile."""
        with closing(self.manager.client()) as client:
            listed = client.nodes.get(node.id)  # type: ignore[no-untyped-call]
            try:
                return bool(listed.update({**listed.attrs["Spec"], **change}))
            except APIError as error:
                if MOVED_ON not in str(error.explanation):
                    raise
                return False
