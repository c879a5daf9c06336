"""AcmeClient: lego in a container, which obtains the load balancer's certificate from a CA and renews it."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pulumi

from components.orchestrator.commands import NOT_RUNNING
from components.orchestrator.container_paths import FILES, SECRETS
from components.orchestrator.container_spec import ContainerSpec, File, Mount, NetworkAttachment, secret_file
from components.orchestrator.interface import Endpoint, Service
from components.orchestrator.watcher import NotReady, Watcher
from components.settings.model import Settings
from components.stack_context import CertificateVolume, StackContext
from components.templates.rendering import render
from components.tls.acme_on_swarm import until_answered, until_fetched
from components.tls.acme_web import AcmeWeb
from components.tls.sizing import MEMORY_MB

SCRIPTS = ("acme.sh", "health.sh")
HEALTHCHECK = ("/bin/sh", f"{FILES}/health.sh")
STATE = "/tmp/acme"  # noqa: S108 - where acme.sh leaves what health.sh reports
SERVER_CERTIFICATE = f"{FILES}/acme-server.pem"
# As often as CAs want to be asked when a certificate should be renewed. Let's Encrypt allows five failures an hour.
CHECK_SECONDS, RETRY_SECONDS = 6 * 3600, 900


@dataclass(frozen=True, kw_only=True)
class AcmeClientArgs:
    """What the client takes: it publishes on the volume from which `load_balancer` reads.

    On a swarm on one of its own, from which a web server gives the certificate to those that have the same `pair`.
    """

    context: StackContext
    volume: CertificateVolume
    load_balancer: Service
    pair: pulumi.Output[str] | None = None


class AcmeClient(pulumi.ComponentResource):
    """One container that runs lego whenever the certificate has to be obtained or renewed; on a swarm with AcmeWeb."""

    service: Service
    services: list[Service]

    def __init__(self, name: str, args: AcmeClientArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the image and the container."""
        super().__init__("dhis2-cluster:index:AcmeClient", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        context, settings = args.context, args.context.settings
        credentials = {key: value.get_secret_value() for key, value in sorted(settings.acme_dns_credentials.items())}
        server_certificate = settings.acme_server_certificate
        spec = ContainerSpec(
            name=context.naming.of("certificates"),
            image=context.orchestrator.image("acme-image", settings.acme_image, self).id,
            uid=args.volume.uid,
            memory_mb=MEMORY_MB,
            hostname="certificates",
            labels=context.naming.labels("certificates"),
            networks=(NetworkAttachment(network=context.networks.edge, aliases=("certificates",)),),
            entrypoint=("/bin/sh", f"{FILES}/acme.sh", *lego_options(settings)),
            environment=acme_environment(settings),
            files=(
                *(File(path=f"{FILES}/{name}", content=render(f"tls/{name}"), executable=True) for name in SCRIPTS),
                *(secret_file(key, pulumi.Output.secret(value)) for key, value in credentials.items()),
                *((File(path=SERVER_CERTIFICATE, content=server_certificate),) if server_certificate else ()),
            ),
            mounts=(Mount(volume=args.volume.name, path=args.volume.folder),),
            tmpfs={"/tmp": 16},  # noqa: S108
            healthcheck=HEALTHCHECK,
            start_period_seconds=30,
        )
        # Behind the load balancer, which answers HTTP-01 and gives the volume its mode.
        options = pulumi.ResourceOptions(parent=self, depends_on=[args.load_balancer.resource])
        self._web = AcmeWeb("acme-web", context, args.volume, args.pair, child) if args.pair is not None else None
        if self._web is not None:
            spec = _on_swarm(spec, args.volume)
            # A first attempt that fails would be made again only after RETRY_SECONDS.
            targets = [self._web.service.wait_target, args.load_balancer.wait_target]
            options.depends_on = [args.load_balancer.resource, self._web.service.resource]
            options.hooks = context.gates.before_create("certificates", targets)
        display_name = f"the certificate of {settings.hostname}"
        # It listens on no port.
        self.service = context.orchestrator.service(
            "certificates", spec, display_name, Endpoint("certificates", 0), options
        )
        self.services = [self.service, *([self._web.service] if self._web else [])]
        self._load_balancer, self._hostname = args.load_balancer, settings.hostname
        self.register_outputs({"container": spec.name})

    async def until_ready(self, watcher: Watcher) -> None:
        """Return when the load balancer has a valid certificate of the CA, and warn where it could not be renewed.

        After a failure the CA is asked again at once, not at the time of the next attempt. Raises NotReady with the
        CA's answer.
        """
        from components.tls.pem import parse_chain  # noqa: PLC0415 - see components/tls/pem.py

        target = self.service.wait_target
        with suppress(NotReady):  # of a container that does not run; the wait reports it
            if await self._failure(watcher):
                await watcher.restart(target.container)
        await watcher.until_ready([service.wait_target for service in self.services])
        if self._web is None:
            failure = await self._failure(watcher)
            path = CertificateVolume.certificate
            text = await watcher.read_file(self._load_balancer.wait_target.container, path)
        else:
            failure = await until_answered(watcher, target, HEALTHCHECK)
            text = await until_fetched(watcher, target, self._load_balancer.wait_target)
        until = parse_chain(text or "").until
        if until <= datetime.now(UTC):
            raise NotReady(
                f"{target.display_name} has expired on {until:%Y-%m-%d %H:%M} UTC; {failure or 'it was not renewed'}. Full log: {watcher.log_command(target)}"
            )
        if failure:
            pulumi.log.warn(f"{target.display_name} is valid until {until:%Y-%m-%d}; {failure}")

    async def _failure(self, watcher: Watcher) -> str:
        """Return why the last attempt has failed; empty where it has not."""
        container = self.service.wait_target.container
        code, output = await watcher.execute(container, HEALTHCHECK)
        # The swarm names the service, and with it certificates, where no task runs.
        return str(output).strip() if "certificate" in output and code != NOT_RUNNING else ""


def _on_swarm(spec: ContainerSpec, volume: CertificateVolume) -> ContainerSpec:
    """Return the spec of the client for a swarm.

    Its volume gets the mode of /var/tmp. A task counts as running before the CA has answered, and what it answers is
    read in a container beside it.
    """
    return replace(
        spec,
        mounts=(*spec.mounts, Mount(volume=volume.name, path="/var/tmp")),  # noqa: S108
        tmpfs={**spec.tmpfs, STATE: 1},
        shared_folder=STATE,
        healthcheck=("/bin/sh", "-c", f"{' '.join(HEALTHCHECK)} || :"),
    )


def acme_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of acme.sh and lego; credentials are named by file."""
    # What one CA has issued counts for no other one.
    store = hashlib.sha256(settings.acme_server.encode()).hexdigest()[:8]
    environment = {
        "ACME_HOSTNAME": settings.hostname or "",
        "ACME_STORE": f"{CertificateVolume.folder}/lego-{store}",
        "ACME_CERTIFICATE": CertificateVolume.certificate,
        "ACME_CHALLENGES": CertificateVolume.challenges,
        "ACME_CHECK_SECONDS": str(CHECK_SECONDS),
        "ACME_RETRY_SECONDS": str(RETRY_SECONDS),
    }
    if settings.acme_server_certificate:
        environment |= {"LEGO_CA_CERTIFICATES": SERVER_CERTIFICATE, "LEGO_CA_SYSTEM_CERT_POOL": "true"}
    return environment | {f"{key}_FILE": f"{SECRETS}/{key}" for key in settings.acme_dns_credentials}


def lego_options(settings: Settings) -> tuple[str, ...]:
    """Return the global options of lego."""
    provider = settings.acme_dns_provider
    challenge = ("--dns", provider) if provider else ("--http", "--http.webroot", CertificateVolume.challenges)
    return (
        "--accept-tos",
        *("--server", settings.acme_server),
        *("--email", settings.acme_email or ""),
        *("--domains", settings.hostname or ""),
        *("--path", acme_environment(settings)["ACME_STORE"]),
        *challenge,
    )
