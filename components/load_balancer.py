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
MEMORY_MB = 128
PAGES = ("starting.html", "starting.json")
PING = ("curl", "--fail", "--silent", "--output", "/dev/null", "--max-time", "5", f"http://127.0.0.1:{PORT}/api/ping")


@dataclass(frozen=True, kw_only=True)
class LoadBalancerArgs:
    """Where the load balancer listens, and the networks of users and cores. It needs no list of cores."""

    naming: Naming
    image: pulumi.Input[str]
    edge_network: pulumi.Input[str]
    app_network: pulumi.Input[str]
    port: int
    bind: str


class LoadBalancer(pulumi.ComponentResource):
    """One NGINX; `awaited` is what to wait for, `container` its resource."""

    awaited: Awaited
    container: docker.Container

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Registers the container."""
        super().__init__("dhis2-cluster:index:LoadBalancer", name, None, opts)
        self.awaited = Awaited(args.naming.of("lb"), "the load balancer")
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
            entrypoint=("nginx", "-c", f"{FILES}/nginx.conf"),
            files=(
                File(path=f"{FILES}/nginx.conf", content=render("load_balancer/nginx.conf.j2")),
                *(File(path=f"{FILES}/pages/{page}", content=render(f"load_balancer/{page}")) for page in PAGES),
            ),
            scratch=(Scratch(path="/tmp", size_mb=512),),  # noqa: S108
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
