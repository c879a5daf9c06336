"""CorePool: N identical DHIS2 cores. The first migrates the database alone, then the others start at once."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pulumi

from components.dhis2.release import ConnectionPool, Release
from components.file_store.file_store import UID, FileStore
from components.orchestrator.container_paths import FILES
from components.orchestrator.container_spec import ContainerSpec, File, NetworkAttachment
from components.orchestrator.interface import Endpoint, Service
from components.orchestrator.restart import any_started_before, restart_all
from components.orchestrator.watcher import Watcher
from components.stack_context import StackContext
from components.templates.rendering import render

TOMCAT = "/usr/local/tomcat"
TOMCAT_FILES = {
    "server.xml": "conf/server.xml",
    "logging.properties": "conf/logging.properties",
    # Starts the watchdog beside the JVM. The image's own entrypoint and command stay as they are.
    "setenv.sh": "bin/setenv.sh",
}
SCRIPTS = ("health.sh", "probe.sh", "watchdog.sh")
STOP_TIMEOUT_SECONDS = 60
# The heap leaves room for threads, classes and buffers. A core that runs out of memory exits and is restarted; its heap
# holds people's data, so it is not dumped to disk.
# A recreated container has another address; the JVM would use the old one for half a minute.
JVM_OPTIONS = (
    "-Dsun.net.inetaddr.ttl=5 -XX:MaxRAMPercentage=70 -XX:+ExitOnOutOfMemoryError -XX:-HeapDumpOnOutOfMemoryError"
)
# Connections made while a replica was away lead to the primary; they are closed after five minutes, and reads return.
# No key of dhis.conf sets this for c3p0, which reads the system property.
C3P0_OPTIONS = "-Dc3p0.maxConnectionAge=300"


@dataclass(frozen=True, kw_only=True)
class CorePoolArgs:
    """What the cores take. All are deleted when `core_replacement` is replaced, before the first new one.

    `restored_at` returns when the database was restored, in epoch seconds; `flush_cache` drops what cores hold in the
    cache.
    """

    context: StackContext
    release: Release
    primary: Service
    replicas: Sequence[Service]
    cache: Service
    files: FileStore
    core_replacement: pulumi.CustomResource
    restored_at: Callable[[], int]
    flush_cache: Callable[[Watcher], Awaitable[None]]
    database_password: pulumi.Output[str]
    cache_password: pulumi.Output[str]
    encryption_password: pulumi.Output[str]


class CorePool(pulumi.ComponentResource):
    """The cores, exposed as `services`; `endpoint` resolves to all of them."""

    endpoint: ClassVar[Endpoint] = Endpoint("core", 8080)
    services: list[Service]

    def __init__(self, name: str, args: CorePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the shared file store and the cores."""
        super().__init__("dhis2-cluster:index:CorePool", name, None, opts)
        self._args = args
        args.files.register_volume(self)
        self._backends = [args.primary, *args.replicas, args.cache]
        gates, cores = args.context.gates, args.context.settings.cores
        first = args.context.orchestrator.service(
            "core-1",
            self._spec("core-1", 1),
            "core 1",
            Endpoint("core-1", self.endpoint.port),
            self._options(
                args.files.once_tried([backend.resource for backend in self._backends]),
                gates.before_create("core-1", [backend.wait_target for backend in self._backends]),
            ),
            backends=self._backends,
        )
        # Not a hook: when all are replaced, core-1 has to serve before the next one is deleted.
        migrated = gates.after(first.resource, lambda watcher: watcher.until_ready([first.wait_target]))
        others = args.context.orchestrator.replicas(
            "core",
            range(2, cores + 1),
            self._spec,
            port=self.endpoint.port,
            opts=self._options(migrated),
            backends=self._backends,
        )
        self.services = [first, *others]
        self.register_outputs({"cores": cores})

    async def until_ready(self, watcher: Watcher) -> None:
        """Return when all cores are healthy. Raises NotReady.

        All are restarted, the first one alone, when one was started before the database was restored: this happens
        when only the database's volume was lost, for then nothing else changes, and no core has migrated the database.
        """
        targets = [core.wait_target for core in self.services]
        if await any_started_before(watcher, targets, self._args.restored_at()):
            pulumi.log.warn("the database was restored again: all cores restart, and users have to log in again")
            await self.restart(watcher)
        await watcher.until_ready(targets)

    async def restart(self, watcher: Watcher, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
        """Restart all cores, the first one alone, without the sessions of before; await `meanwhile` while none runs.

        Raises NotReady when one does not become ready.
        """

        async def between() -> None:
            await self._args.flush_cache(watcher)
            if meanwhile is not None:
                await meanwhile()

        await restart_all(watcher, [core.wait_target for core in self.services], STOP_TIMEOUT_SECONDS, between)

    def _options(
        self,
        depends_on: pulumi.Input[Sequence[pulumi.Input[pulumi.Resource]]],
        hooks: pulumi.ResourceHookBinding | None = None,
    ) -> pulumi.ResourceOptions:
        replaced: list[pulumi.Resource] = [self._args.core_replacement]
        return pulumi.ResourceOptions(parent=self, depends_on=depends_on, hooks=hooks, replace_with=replaced)

    def _spec(self, name: str, number: int) -> ContainerSpec:
        args, context, home = self._args, self._args.context, self._args.release.home
        memory_mb = context.settings.core_memory_mb
        aliases = tuple(dict.fromkeys((self.endpoint.host, name)))
        pool = C3P0_OPTIONS if args.release.pool is ConnectionPool.C3P0 else ""
        # The JVM reads the container's limit at its start only, while Docker can change it in a running container. With
        # the limit among the options a changed one replaces the core.
        options, environment = [f"-XX:MaxRAM={memory_mb}m", JVM_OPTIONS, pool], {"DHIS2_HOME": home}
        if context.orchestrator.most_variables == 1:
            environment.clear()
            options.append(f"-Ddhis2.home={home}")  # DHIS2 reads it first
        options.append(context.settings.java_options)  # last, because the last of two options counts
        # Read by every JVM; the images without Tomcat's scripts read nothing else.
        environment["JAVA_TOOL_OPTIONS"] = " ".join(filter(None, options))
        return ContainerSpec(
            name=context.naming.of(name),
            image=context.images.core.id,
            uid=UID,
            memory_mb=memory_mb,
            hostname=name,
            labels={
                **context.naming.labels("core", number),
                # A property that depends on it makes the Pulumi engine load the provider of an old core before deleting
                # it; `replace_with` alone ends in "unknown provider" when an update with another provider has failed.
                "dhis2-cluster.core-replacement": args.core_replacement.id,
            },
            networks=(
                NetworkAttachment(network=context.networks.app, aliases=aliases),
                NetworkAttachment(network=context.networks.data, aliases=(name,)),
            ),
            environment=environment,
            files=(
                File(path=f"{home}/dhis.conf", content=self._conf(first=number == 1), secret=True),
                *(File(path=f"{TOMCAT}/{path}", content=render(f"core/{name}")) for name, path in TOMCAT_FILES.items()),
                *(File(path=f"{FILES}/{name}", content=render(f"core/{name}"), executable=True) for name in SCRIPTS),
            ),
            mounts=args.files.mounts(f"{home}/files"),
            tmpfs={"/tmp": 64},  # noqa: S108
            healthcheck=("/bin/bash", f"{FILES}/health.sh"),
            start_period_seconds=600,
            stop_timeout_seconds=STOP_TIMEOUT_SECONDS,
        )

    def _conf(self, *, first: bool) -> pulumi.Output[str]:
        args, settings = self._args, self._args.context.settings
        values = {
            "primary": args.primary.endpoint,
            "replicas": [replica.endpoint for replica in args.replicas],
            "cache": args.cache.endpoint,
            "leader": first and args.release.needs_primary_leader and bool(args.replicas),
            "pool": args.release.pool,
            "migrates_out_of_order": args.release.migrates_out_of_order,
            "repairs_migrations": args.release.repairs_migrations,
            "base_url": settings.public_url,
            "https": settings.https and "server.https" not in settings.dhis_conf,
            "extra": settings.dhis_conf,
            "bucket": args.files.bucket,
            "bucket_location": args.files.bucket_location,
        }
        passwords = pulumi.Output.all(
            database_password=args.database_password,
            cache_password=args.cache_password,
            encryption_password=args.encryption_password,
            **args.files.keys,
        )
        # Further keys may be other systems' secrets.
        return pulumi.Output.secret(passwords.apply(lambda secrets: render("core/dhis.conf.j2", **values, **secrets)))
