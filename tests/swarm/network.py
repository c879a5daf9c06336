"""The LAN of a swarm: a bridge, a link to each node, and one to this machine.

The bridge has a network namespace of its own: on the machine, Docker's firewall rules (FORWARD DROP, which
bridge-nf-call-iptables applies to bridged frames, too) would drop what nodes send each other.
"""

import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass

from tests.support.project import ROOT
from tests.swarm import namespaces
from tests.swarm.commands import ip

# Reserved for tests of network devices (RFC 2544): no network in use has these addresses, nor does Docker choose them.
SUBNET = "198.18"
FIRST_NODE = 10


@dataclass(frozen=True)
class Lan:
    """The LAN of the run with this index. Nodes are numbered from 1; nothing routes out of it."""

    name: str
    index: int

    @property
    def host_address(self) -> str:
        """The address of this machine."""
        return f"{SUBNET}.{self.index}.1"

    @property
    def resolver_address(self) -> str:
        """The address of a DNS server that knows no name."""
        return f"{SUBNET}.{self.index}.2"

    def address(self, number: int) -> str:
        """Return the address of a node."""
        return f"{SUBNET}.{self.index}.{FIRST_NODE + number}"

    def namespace(self, number: int) -> str:
        """Return the name of a node's network namespace."""
        return f"{self.name}-node-{number}"

    @property
    def bridge_namespace(self) -> str:
        """The name of the bridge's network namespace."""
        return f"{self.name}-lan"

    def build(self) -> None:
        """Create the bridge, and this machine's link to it."""
        lan = self.bridge_namespace
        namespaces.add(lan)
        ip("-n", lan, "link", "add", "bridge", "type", "bridge")
        ip("-n", lan, "address", "add", f"{self.resolver_address}/24", "dev", "bridge")
        ip("-n", lan, "link", "set", "bridge", "up")
        ip("link", "add", self.name, "type", "veth", "peer", "name", "host", "netns", lan)
        ip("-n", lan, "link", "set", "host", "master", "bridge", "up")
        ip("address", "add", f"{self.host_address}/24", "dev", self.name)
        ip("link", "set", self.name, "up")

    def start_resolver(self) -> subprocess.Popen[bytes]:
        """Start the DNS server; it ends with the bridge's network namespace."""
        resolver = [sys.executable, "-m", "tests.swarm.resolver", self.resolver_address]
        command = [*namespaces.enter(self.bridge_namespace), *resolver]
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True)

    def plug(self, number: int) -> None:
        """Give a node a new network namespace, as after a power cut, with a link to the bridge."""
        node, link = self.namespace(number), f"node-{number}"
        self.unplug(number)
        namespaces.add(node)
        # The same hardware address after each boot, or the others' ARP caches lead to the old one.
        hardware = f"02:64:63:{self.index:02x}:00:{number:02x}"
        peer = ("peer", "name", link, "netns", self.bridge_namespace)
        ip("link", "add", "eth0", "netns", node, "address", hardware, "type", "veth", *peer)
        ip("-n", self.bridge_namespace, "link", "set", link, "master", "bridge", "up")
        ip("-n", node, "address", "add", f"{self.address(number)}/24", "dev", "eth0")
        ip("-n", node, "link", "set", "eth0", "up")

    def unplug(self, number: int) -> None:
        """Remove a node's link and network namespace, if it has one."""
        if namespaces.named(self.namespace(number)):
            # Not left to the end of the namespace, which the kernel may put off.
            with suppress(subprocess.CalledProcessError):
                ip("-n", self.bridge_namespace, "link", "delete", f"node-{number}")
            namespaces.remove(self.namespace(number))

    def set_link(self, number: int, state: str) -> None:
        """Set a node's link to the bridge `up` or `down`."""
        ip("-n", self.bridge_namespace, "link", "set", f"node-{number}", state)
