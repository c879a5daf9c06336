"""Cache: the Redis-protocol server that holds sessions, shared caches and the cores' invalidation messages."""

from dataclasses import dataclass

import pulumi

from components.orchestrator.commands import marker_of
from components.orchestrator.container_paths import FILES, SECRETS
from components.orchestrator.container_spec import ContainerSpec, File, Mount, NetworkAttachment, secret_file
from components.orchestrator.interface import Endpoint, Service
from components.orchestrator.watcher import NotReady, Watcher
from components.stack_context import StackContext
from components.templates.rendering import render

UID = 999
ENDPOINT = Endpoint("cache", 6379)
SCRIPTS = ("start.sh", "health.sh", "client.sh")
# As in client.sh; the client exits with 0 when it is refused, so the answer decides.
FLUSH = f"""export REDISCLI_AUTH="$(cat {SECRETS}/cache-password)"
export VALKEYCLI_AUTH="$REDISCLI_AUTH" # its name from Valkey 9 on
echo FLUSHALL | valkey-cli --no-auth-warning -h "$0" -p "$1\""""
# Printed once: the marker of an AOF that was set aside is renamed.
READ_MARKER = "cd /data/damaged 2>/dev/null && [ -f marker ] && cat marker && mv marker reported"


@dataclass(frozen=True)
class CacheArgs:
    """What the cache takes.

    Another id of `core_replacement` starts it without the sessions of before: their users and classes may be others.
    """

    context: StackContext
    password: pulumi.Output[str]
    core_replacement: pulumi.CustomResource


class Cache(pulumi.ComponentResource):
    """One Valkey server, exposed as `service`."""

    service: Service
    services: list[Service]

    def __init__(self, name: str, args: CacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the volume and the container."""
        super().__init__("dhis2-cluster:index:Cache", name, None, opts)
        context, memory_mb = args.context, args.context.settings.cache_memory_mb
        data = context.orchestrator.volume("cache-data", self)
        conf = pulumi.Output.all(password=args.password, sessions=args.core_replacement.id).apply(
            lambda values: render("cache/valkey.conf.j2", endpoint=ENDPOINT, memory_mb=memory_mb, **values)
        )
        spec = ContainerSpec(
            name=context.naming.of("cache"),
            image=context.images.cache.id,
            uid=UID,
            memory_mb=memory_mb,
            hostname="cache",
            labels=context.naming.labels("cache"),
            networks=(NetworkAttachment(network=context.networks.data, aliases=(ENDPOINT.host,)),),
            entrypoint=("/bin/sh", f"{FILES}/start.sh"),
            files=(
                File(path=f"{FILES}/valkey.conf", content=conf, secret=True),
                *(File(path=f"{FILES}/{name}", content=render(f"cache/{name}"), executable=True) for name in SCRIPTS),
                secret_file("cache-password", args.password),
            ),
            mounts=(Mount(volume=data, path="/data"),),
            tmpfs={"/tmp": 16},  # noqa: S108
            healthcheck=("/bin/sh", f"{FILES}/health.sh"),
            start_period_seconds=60,
            stop_timeout_seconds=20,
        )
        # Where it is not replaced for its other configuration, that would be deleted while it has it.
        replaced: list[pulumi.Resource] = [args.core_replacement] if context.orchestrator.changes_in_place else []
        options = pulumi.ResourceOptions(parent=self, replace_with=replaced or None)
        self.service = context.orchestrator.service("cache", spec, "the cache", ENDPOINT, options)
        self.services = [self.service]
        self._address = context.orchestrator.own_address(ENDPOINT)
        self.register_outputs({"container": spec.name})

    async def until_ready(self, watcher: Watcher) -> None:
        """Return when the server is healthy, and warn once when it has dropped the sessions. Raises NotReady."""
        target = self.service.wait_target
        await watcher.until_ready([target])
        _, output = await watcher.execute(target.container, ["/bin/sh", "-c", READ_MARKER])
        marker = marker_of(output)
        if marker:
            pulumi.log.warn(
                f"{target.display_name} could not load its AOF ({marker.get('reason')}) and started empty at {marker.get('at')}: users have to log in again. The AOF is kept in /data/damaged of the volume {target.container}-data; why it could not be loaded: {watcher.log_command(target)}"
            )

    async def flush(self, watcher: Watcher) -> None:
        """Drop the sessions and cached objects of a database that no longer exists. Raises NotReady when refused."""
        target = self.service.wait_target
        _, output = await watcher.execute(target.container, flush(self._address))
        if output.strip() != "OK":
            raise NotReady(f"{target.display_name} refused FLUSHALL: {output.strip()}. Try again: pulumi up --refresh")


def flush(host: str) -> list[str]:
    """Return the command that empties the cache at a host."""
    return ["/bin/sh", "-c", FLUSH, host, str(ENDPOINT.port)]
