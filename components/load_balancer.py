"""LoadBalancer: NGINX in front of the cores, the only part with a port on the Docker host."""

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components.engine.docker import container
from components.engine.watch import Awaited, Watcher
from components.naming import Naming
from components.rendering import render
from components.workload import FILES, Attachment, File, Health, Port, Scratch, Workload

UID = 101
PORT = 8080
MEMORY_MB = 256
PRIVATE_NETWORKS = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
PAGES = ("starting.html", "starting.json")
PING = ("curl", "--fail", "--silent", "--output", "/dev/null", "--max-time", "5", f"http://127.0.0.1:{PORT}/api/ping")


@dataclass(frozen=True, kw_only=True)
class LoadBalancerArgs:
    """Where the load balancer listens, and the networks of users and cores. It needs no list of cores.

    `behind_a_proxy`: users come through a proxy that ends their TLS; what it says of their address and scheme counts
    when it comes from a private network, which is where a proxy on the same host or in the same house comes from.
    """

    naming: Naming
    image: pulumi.Input[str]
    edge_network: pulumi.Input[str]
    app_network: pulumi.Input[str]
    port: int
    bind: str
    behind_a_proxy: bool


class LoadBalancer(pulumi.ComponentResource):
    """One NGINX; `awaited` is what to wait for, `container` its resource."""

    awaited: Awaited
    container: docker.Container

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Registers the container."""
        super().__init__("dhis2-cluster:index:LoadBalancer", name, None, opts)
        self.awaited = Awaited(args.naming.of("lb"), "the load balancer")
        conf = render("load_balancer/nginx.conf.j2", trusted_proxies=PRIVATE_NETWORKS if args.behind_a_proxy else ())
        workload = Workload(
            name=args.naming.of("lb"),
            image=args.image,
            uid=UID,
            memory_mb=MEMORY_MB,
            hostname="lb",
            labels=args.naming.labels("lb"),
            networks=(
                Attachment(network=args.edge_network, aliases=("lb",)),
                Attachment(network=args.app_network, aliases=("lb",)),
            ),
            entrypoint=("/bin/sh", f"{FILES}/start.sh"),
            files=(
                File(path=f"{FILES}/start.sh", content=render("load_balancer/start.sh"), executable=True),
                File(path=f"{FILES}/nginx.conf", content=conf),
                File(path=f"{FILES}/status.conf", content=render("load_balancer/status.conf")),
                *(File(path=f"{FILES}/pages/{page}", content=render(f"load_balancer/{page}")) for page in PAGES),
            ),
            scratch=(Scratch(path="/tmp", size_mb=16),),  # noqa: S108
            port=Port(internal=PORT, external=args.port, address=args.bind),
            health=Health(
                command=("curl", "--fail", "--silent", "--max-time", "5", f"http://127.0.0.1:{PORT}/lb/health"),
                start_period_seconds=30,
            ),
            stop_signal="SIGQUIT",
            grace_seconds=30,
        )
        self.container = container("lb", workload, pulumi.ResourceOptions(parent=self))
        self.register_outputs({"container": self.container.name})

    async def answers(self, watcher: Watcher) -> None:
        """Return when DHIS2 answers through the load balancer. Raises NotReady when it does not in time."""
        await watcher.until_succeeds(self.awaited, PING, "DHIS2 does not answer through the load balancer")
