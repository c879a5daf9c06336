"""LoadBalancer: NGINX in front of the cores, the only part with a published port."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pulumi

from components.load_balancer.sizing import MEMORY_MB
from components.orchestrator.container_spec import FILES, ContainerSpec, File, NetworkAttachment, PublishedPort
from components.orchestrator.docker import service
from components.orchestrator.readiness import Watcher
from components.settings.validators import HOST
from components.stack_context import Endpoint, Service, StackContext
from components.templates.rendering import render

UID = 101
ENDPOINT = Endpoint("lb", 8080)
PAGES = ("starting.html", "starting.json")
_CURL = ("curl", "--fail", "--silent", "--max-time", "5")
HEALTHCHECK = (*_CURL, f"http://127.0.0.1:{ENDPOINT.port}/lb/health")
PING = (*_CURL, "--output", "/dev/null", f"http://127.0.0.1:{ENDPOINT.port}/api/ping")


@dataclass(frozen=True)
class LoadBalancerArgs:
    """What the load balancer takes. Its configuration has no list of cores: `core_endpoint` resolves to all that run.

    `cores` returns those that are registered later; when DHIS2 does not answer, they may be the cause.

    `settings_cached`: each core has a cache of DHIS2's system settings that only a request to this core drops.
    `depends_on` and `hooks` hold its container back.
    """

    context: StackContext
    core_endpoint: Endpoint
    cores: Callable[[], Sequence[Service]]
    settings_cached: bool
    depends_on: Sequence[pulumi.Resource] = ()
    hooks: pulumi.ResourceHookBinding | None = None


class LoadBalancer(pulumi.ComponentResource):
    """One NGINX, exposed as `service`."""

    service: Service
    services: list[Service]

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the container."""
        super().__init__("dhis2-cluster:index:LoadBalancer", name, None, opts)
        context, settings = args.context, args.context.settings
        conf = nginx_conf(
            str(args.core_endpoint), settings.public_url, settings.trusted_proxies, settings_cached=args.settings_cached
        )
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
        self._cores = args.cores
        options = pulumi.ResourceOptions(parent=self, depends_on=args.depends_on, hooks=args.hooks)
        self.service = service("lb", spec, "the load balancer", ENDPOINT, options)
        self.services = [self.service]
        self.register_outputs({"container": spec.name})

    async def until_ready(self, watcher: Watcher) -> None:
        """Return when DHIS2 answers through the load balancer. Raises NotReady when it does not in time."""
        target = self.service.wait_target
        await watcher.until_ready([target])
        target = replace(target, depends_on=tuple(core.wait_target for core in self._cores()))
        await watcher.until_succeeds(target, PING, "is healthy, but DHIS2 does not answer through the load balancer")


def nginx_conf(core: str, public_url: str, trusted_proxies: Sequence[str] = (), *, settings_cached: bool = True) -> str:
    """Return nginx.conf; start.sh replaces the address of the Docker host, which the network has when it exists."""
    proxies = ["@docker_host@" if proxy == HOST else proxy for proxy in trusted_proxies]
    scheme = public_url.partition(":")[0]
    values = {"core": core, "scheme": scheme, "trusted_proxies": proxies, "settings_cached": settings_cached}
    return render("load_balancer/nginx.conf.j2", **values)
