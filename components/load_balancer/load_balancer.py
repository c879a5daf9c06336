"""LoadBalancer: NGINX in front of the cores, the only part with a published port."""

from dataclasses import dataclass

import pulumi

from components.load_balancer.sizing import MEMORY_MB
from components.orchestrator.container_spec import (
    FILES,
    ContainerSpec,
    File,
    Healthcheck,
    NetworkAttachment,
    PublishedPort,
    Tmpfs,
)
from components.orchestrator.docker import container
from components.orchestrator.readiness import WaitTarget, Watcher
from components.settings.model import Settings
from components.stack_context import Endpoint, Image, Networks, Service, StackContext
from components.templates.rendering import render

UID = 101
ENDPOINT = Endpoint("lb", 8080)
PRIVATE_NETWORKS = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
PAGES = ("starting.html", "starting.json")
_CURL = ("curl", "--fail", "--silent", "--output", "/dev/null", "--max-time", "5")
PING = (*_CURL, f"http://127.0.0.1:{ENDPOINT.port}/api/ping")


@dataclass(frozen=True)
class LoadBalancerArgs:
    """What the load balancer takes. It needs no list of cores: `core_endpoint` resolves to all that run.

    Where `baseUrl` is https, users come through a proxy that terminates TLS; its X-Forwarded-* headers are trusted
    when it connects from a private network, which is where a proxy on the same host or site connects from.
    """

    context: StackContext
    image: Image
    networks: Networks
    settings: Settings
    core_endpoint: Endpoint


class LoadBalancer(pulumi.ComponentResource):
    """One NGINX, exposed as `service`."""

    service: Service

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the container."""
        super().__init__("dhis2-cluster:index:LoadBalancer", name, None, opts)
        naming, settings = args.context.naming, args.settings
        trusted = PRIVATE_NETWORKS if settings.public_url.startswith("https:") else ()
        conf = render("load_balancer/nginx.conf.j2", core=args.core_endpoint, trusted_proxies=trusted)
        spec = ContainerSpec(
            name=naming.of("lb"),
            image=args.image.id,
            uid=UID,
            memory_mb=MEMORY_MB,
            hostname="lb",
            labels=naming.labels("lb"),
            networks=(
                NetworkAttachment(network=args.networks.edge, aliases=(ENDPOINT.host,)),
                NetworkAttachment(network=args.networks.app, aliases=(ENDPOINT.host,)),
            ),
            entrypoint=("/bin/sh", f"{FILES}/start.sh"),
            files=(
                File(path=f"{FILES}/start.sh", content=render("load_balancer/start.sh"), executable=True),
                File(path=f"{FILES}/nginx.conf", content=conf),
                File(path=f"{FILES}/status.conf", content=render("load_balancer/status.conf")),
                *(File(path=f"{FILES}/pages/{page}", content=render(f"load_balancer/{page}")) for page in PAGES),
            ),
            tmpfs=(Tmpfs(path="/tmp", size_mb=16),),  # noqa: S108
            ports=(PublishedPort(internal=ENDPOINT.port, external=settings.port, address=settings.bind),),
            healthcheck=Healthcheck(
                command=(
                    "curl",
                    "--fail",
                    "--silent",
                    "--max-time",
                    "5",
                    f"http://127.0.0.1:{ENDPOINT.port}/lb/health",
                ),
                start_period_seconds=30,
            ),
            stop_signal="SIGQUIT",
            stop_timeout_seconds=30,
        )
        self.service = Service(
            resource=container("lb", spec, pulumi.ResourceOptions(parent=self)),
            wait_target=WaitTarget(spec.name, "the load balancer"),
            endpoint=ENDPOINT,
        )
        self.register_outputs({"container": spec.name})

    @property
    def services(self) -> list[Service]:
        """The one server."""
        return [self.service]

    async def until_ready(self, watcher: Watcher) -> None:
        """Return when DHIS2 answers through the load balancer. Raises NotReady when it does not in time."""
        await watcher.until_ready([self.service.wait_target])
        failure = "is healthy, but DHIS2 does not answer through the load balancer"
        await watcher.until_succeeds(self.service.wait_target, PING, failure)
