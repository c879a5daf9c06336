"""LoadBalancer: NGINX in front of the cores, the only part with a published port."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pulumi

from components.load_balancer.sizing import memory_mb
from components.orchestrator.container_paths import FILES, SECRETS
from components.orchestrator.container_spec import ContainerSpec, File, Mount, NetworkAttachment, PublishedPort
from components.orchestrator.interface import Endpoint, Service
from components.orchestrator.watcher import Watcher
from components.settings.model import Settings, Tls
from components.settings.validators import HOST
from components.stack_context import AcmeWebServer, CertificateVolume, StackContext
from components.templates.rendering import render

UID = 101
ENDPOINT = Endpoint("lb", 8080)
HTTPS_PORT = 8443
FETCHING = "start-fetching.sh"
PAGES = ("starting.html", "starting.json")
SELF_SIGNED, OWN = f"{SECRETS}/self-signed.pem", f"{SECRETS}/own.pem"
_CURL = ("curl", "--fail", "--silent", "--max-time", "5")
HEALTHCHECK = (*_CURL, f"http://127.0.0.1:{ENDPOINT.port}/lb/health")


@dataclass(frozen=True)
class LoadBalancerArgs:
    """What the load balancer takes. Its configuration has no list of cores: `core_endpoint` resolves to all that run.

    `cores` returns those that are registered later; when DHIS2 does not answer, they may be the cause.

    `settings_cached`: each core has a cache of DHIS2's system settings that only a request to this core drops.
    `depends_on` and `hooks` hold its container back.

    `pem_files` are PEM texts of a key and its certificate each, by their paths: for https until there is another one,
    of your own, and of what another certificate is fetched with. `hsts` allows browsers to be bound to https.
    """

    context: StackContext
    core_endpoint: Endpoint
    cores: Callable[[], Sequence[Service]]
    settings_cached: bool
    pem_files: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)
    hsts: bool = False
    depends_on: Sequence[pulumi.Resource] = ()
    hooks: pulumi.ResourceHookBinding | None = None


@dataclass(frozen=True, kw_only=True)
class Https:
    """How nginx.conf has https: the PEM file, whether it is replaced while NGINX runs, and for whom.

    Challenges of a CA are in a folder, or passed on to a server.
    """

    certificate: str
    replaced: bool
    challenges: str
    challenge_server: str
    hsts: bool
    url: str


class LoadBalancer(pulumi.ComponentResource):
    """One NGINX, exposed as `service`; `certificates` is the volume it reads a certificate from."""

    service: Service
    services: list[Service]
    certificates: CertificateVolume | None

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the container."""
        super().__init__("dhis2-cluster:index:LoadBalancer", name, None, opts)
        context, settings = args.context, args.context.settings
        on_volume = _on_volume(settings)
        self.certificates = CertificateVolume(context.orchestrator.volume("certificates", self)) if on_volume else None
        conf = nginx_conf(
            str(args.core_endpoint),
            settings.public_url,
            settings.trusted_proxies,
            settings_cached=args.settings_cached,
            https=https_of(settings, hsts=args.hsts),
        )
        self._ping = _ping(context.orchestrator.own_address(ENDPOINT), https=settings.https)
        ports = {ENDPOINT.port: settings.port} | ({HTTPS_PORT: settings.https_port} if settings.https else {})
        spec = ContainerSpec(
            name=context.naming.of("lb"),
            image=context.images.load_balancer.id,
            uid=UID,
            memory_mb=memory_mb(https=settings.https),
            hostname="lb",
            labels=context.naming.labels("lb"),
            networks=(
                NetworkAttachment(network=context.networks.edge, aliases=(ENDPOINT.host,)),
                NetworkAttachment(network=context.networks.app, aliases=(ENDPOINT.host,)),
            ),
            entrypoint=("/bin/sh", *_start(settings)),
            files=(
                File(path=f"{FILES}/start.sh", content=render("load_balancer/start.sh"), executable=True),
                File(path=f"{FILES}/nginx.conf", content=conf),
                File(path=f"{FILES}/status.conf", content=render("load_balancer/status.conf")),
                *(File(path=f"{FILES}/pages/{page}", content=render(f"load_balancer/{page}")) for page in PAGES),
                *_https_files(settings, args.pem_files),
            ),
            # Where /var/tmp is a volume, uploads are in /tmp on the container's own disk.
            mounts=_mounts(self.certificates),
            tmpfs={} if on_volume else {"/tmp": 16},  # noqa: S108
            own_disk=True,  # large uploads
            ports=tuple(
                PublishedPort(internal=internal, external=external, address=settings.bind)
                for internal, external in ports.items()
            ),
            healthcheck=HEALTHCHECK,
            start_period_seconds=30,
            stop_signal="SIGQUIT",
            stop_timeout_seconds=30,
        )
        self._cores = args.cores
        options = pulumi.ResourceOptions(parent=self, depends_on=args.depends_on, hooks=args.hooks)
        self.service = context.orchestrator.service("lb", spec, "the load balancer", ENDPOINT, options)
        self.services = [self.service]
        self.register_outputs({"container": spec.name})

    async def until_ready(self, watcher: Watcher) -> None:
        """Return when DHIS2 answers through the load balancer. Raises NotReady when it does not in time."""
        target = self.service.wait_target
        await watcher.until_ready([target])
        target = replace(target, depends_on=tuple(core.wait_target for core in self._cores()))
        await watcher.until_succeeds(
            target, self._ping, "is healthy, but DHIS2 does not answer through the load balancer"
        )


def _ping(host: str, *, https: bool) -> tuple[str, ...]:
    """Return the request that DHIS2 answers. Whose certificate it is, and until when, is checked in components/tls/."""
    url = f"https://{host}:{HTTPS_PORT}" if https else f"http://{host}:{ENDPOINT.port}"
    return (*_CURL, *(("--insecure",) if https else ()), "--output", "/dev/null", f"{url}/api/ping")


def https_of(settings: Settings, *, hsts: bool) -> Https | None:
    """Return how nginx.conf has https with these settings; None without it."""
    if not settings.https:
        return None
    replaced = _on_volume(settings)
    in_files = OWN if settings.tls is Tls.CERTIFICATE else SELF_SIGNED
    challenged = settings.tls is Tls.ACME and not settings.acme_dns_provider
    return Https(
        certificate=CertificateVolume.certificate if replaced else in_files,
        replaced=replaced,
        challenges=CertificateVolume.challenges if challenged and not settings.on_swarm else "",
        challenge_server=AcmeWebServer.challenges if challenged and settings.on_swarm else "",
        hsts=hsts and settings.on_default_https_port,
        url=settings.public_url,
    )


def _on_volume(settings: Settings) -> bool:
    """Return whether NGINX reads the certificate from a volume.

    On a swarm that is one on each node with a load balancer. Your own certificate goes there as a secret.
    """
    return settings.tls is Tls.ACME or (settings.tls is Tls.CERTIFICATE and not settings.on_swarm)


def _start(settings: Settings) -> tuple[str, ...]:
    """Return the script that starts NGINX, with its arguments."""
    if not settings.https:
        return (f"{FILES}/start.sh",)
    if settings.tls is Tls.ACME and settings.on_swarm:
        return f"{FILES}/{FETCHING}", CertificateVolume.certificate, AcmeWebServer.certificate
    return f"{FILES}/start-tls.sh", *((CertificateVolume.certificate,) if _on_volume(settings) else ())


def _mounts(certificates: CertificateVolume | None) -> tuple[Mount, ...]:
    if certificates is None:
        return ()
    # Also at a path where every image has a folder open to all: a new volume takes its mode over.
    return tuple(Mount(volume=certificates.name, path=path) for path in (certificates.folder, "/var/tmp"))  # noqa: S108


def _https_files(settings: Settings, pem_files: Mapping[str, pulumi.Output[str]]) -> tuple[File, ...]:
    if not settings.https:
        return ()
    scripts = ["start-tls.sh", *([FETCHING] if settings.tls is Tls.ACME and settings.on_swarm else [])]
    return (
        *(File(path=f"{FILES}/{name}", content=render(f"load_balancer/{name}"), executable=True) for name in scripts),
        *(File(path=path, content=text, secret=True) for path, text in pem_files.items()),
    )


def nginx_conf(
    core: str,
    public_url: str,
    trusted_proxies: Sequence[str] = (),
    *,
    settings_cached: bool = True,
    https: Https | None = None,
) -> str:
    """Return nginx.conf; start.sh replaces the address of the Docker host, which the network has when it exists."""
    proxies = ["@docker_host@" if proxy == HOST else proxy for proxy in trusted_proxies]
    scheme = public_url.partition(":")[0]
    values = {"core": core, "scheme": scheme, "trusted_proxies": proxies, "settings_cached": settings_cached}
    disk = "/tmp" if https and https.replaced else "/var/tmp"  # noqa: S108
    return render("load_balancer/nginx.conf.j2", **values, https=https, disk=disk)
