"""LoadBalancer: NGINX in front of the cores, the only part with a published port."""

from dataclasses import dataclass

import pulumi

from components.load_balancer.sizing import MEMORY_MB
from components.orchestrator.container_spec import FILES, ContainerSpec, File, NetworkAttachment, PublishedPort
from components.orchestrator.docker import service
from components.orchestrator.readiness import Watcher
from components.stack_context import Endpoint, Service, StackContext
from components.templates.rendering import render

UID = 101
ENDPOINT = Endpoint("lb", 8080)
PRIVATE_NETWORKS = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
PAGES = ("starting.html", "starting.json")
_CURL = ("curl", "--fail", "--silent", "--max-time", "5")
HEALTHCHECK = (*_CURL, f"http://127.0.0.1:{ENDPOINT.port}/lb/health")
PING = (*_CURL, "--output", "/dev/null", f"http://127.0.0.1:{ENDPOINT.port}/api/ping")


@dataclass(frozen=True)
class LoadBalancerArgs:
    """What the load balancer takes. It needs no list of cores: `core_endpoint` resolves to all that run.

    Where `baseUrl` is https, users come through a proxy that terminates TLS; its X-Forwarded-* headers are trusted
    when it connects from a private network, which is where a proxy on the same host or site connects from.
    `settings_cached`: each core has a cache of DHIS2's system settings that only a request to this core drops.
    """

    context: StackContext
    core_endpoint: Endpoint
    settings_cached: bool


class LoadBalancer(pulumi.ComponentResource):
    """One NGINX, exposed as `service`."""

    service: Service
    services: list[Service]

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the container."""
        super().__init__("dhis2-cluster:index:LoadBalancer", name, None, opts)
        context, settings = args.context, args.context.settings
        trusted = PRIVATE_NETWORKS if settings.public_url.startswith("https:") else ()
        values = {"core": args.core_endpoint, "trusted_proxies": trusted, "settings_cached": args.settings_cached}
        conf = render("load_balancer/nginx.conf.j2", **values)
        spec = ContainerSpec(
            name=context.naming.of("lb"),
            image=context.images.load_balancer.id,
            uid=UID,
            memory_mb=MEMORY_MB,
            hostname="lb",
            labels=context.naming.labels("lb"),
            networks=(
                NetworkAttachment(network=context.networks.edge, aliases=(ENDPOINT.host,)),
                NetworkAttachment(network=context.networks.app, aliases=(ENDPOINT.host,)),
            ),
            entrypoint=("/bin/sh", f"{FILES}/start.sh"),
            files=(
                File(path=f"{FILES}/start.sh", content=render("load_balancer/start.sh"), executable=True),
                File(path=f"{FILES}/nginx.conf", content=conf),
                File(path=f"{FILES}/status.conf", content=render("load_balancer/status.conf")),
                *(File(path=f"{FILES}/pages/{page}", content=render(f"load_balancer/{page}")) for page in PAGES),
            ),
            tmpfs={"/tmp": 16},  # noqa: S108
            ports=(PublishedPort(internal=ENDPOINT.port, external=settings.port, address=settings.bind),),
            healthcheck=HEALTHCHECK,
            start_period_seconds=30,
            stop_signal="SIGQUIT",
            stop_timeout_seconds=30,
        )
        self.service = service("lb", spec, "the load balancer", ENDPOINT, pulumi.ResourceOptions(parent=self))
        self.services = [self.service]
        self.register_outputs({"container": spec.name})

    async def until_ready(self, watcher: Watcher) -> None:
        """Return when DHIS2 answers through the load balancer. Raises NotReady when it does not in time."""
        target = self.service.wait_target
        await watcher.until_ready([target])
        await watcher.until_succeeds(target, PING, "is healthy, but DHIS2 does not answer through the load balancer")
