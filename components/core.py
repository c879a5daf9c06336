"""CorePool: N identical DHIS2 cores. The first migrates the database alone, then the others start at once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pulumi
import pulumi_docker as docker

from components.engine.docker import container, volume
from components.engine.renewal import begin_again, outlived
from components.engine.watch import Awaited, Watcher
from components.gates import Gates, all_ready
from components.naming import Naming
from components.release import Release
from components.rendering import render
from components.workload import FILES, GENERATION, Attachment, File, Health, Mount, Scratch, Workload

UID = 65534
TOMCAT = "/usr/local/tomcat"
GRACE_SECONDS = 60
# The heap leaves room for threads, classes and buffers. A core out of memory ends and is started again; what it held
# is people's data, so no heap is written to disk.
# A container made anew has another address; the JVM would go on with the old one for half a minute.
JVM_OPTIONS = (
    "-Dsun.net.inetaddr.ttl=5 -XX:MaxRAMPercentage=70 -XX:+ExitOnOutOfMemoryError -XX:-HeapDumpOnOutOfMemoryError"
)
# Connections made while a replica was away lead to the primary; they end after five minutes, and reads return. No key
# of dhis.conf says so to c3p0, which takes it from the system's properties.
C3P0_OPTIONS = "-Dc3p0.maxConnectionAge=300"


@dataclass(frozen=True, kw_only=True)
class CorePoolArgs:
    """What the cores are made of; memory in MB. `awaited` are the containers a core needs to be ready."""

    naming: Naming
    gates: Gates
    release: Release
    image: pulumi.Input[str]
    app_network: pulumi.Input[str]
    data_network: pulumi.Input[str]
    cores: int
    replicas: int
    memory_mb: int
    java_options: str
    extra_conf: dict[str, str] = field(repr=False)
    base_url: str
    keep_data: bool
    ready_timeout_seconds: int
    generation: pulumi.Output[str]
    awaited: list[Awaited]
    depends_on: list[pulumi.Resource]
    database_password: pulumi.Output[str]
    cache_password: pulumi.Output[str]
    encryption_password: pulumi.Output[str]


class CorePool(pulumi.ComponentResource):
    """The cores; `awaited` are their containers to wait for, `containers` the resources."""

    awaited: list[Awaited]
    containers: list[docker.Container]

    def __init__(self, name: str, args: CorePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Registers the shared volume and the cores."""
        super().__init__("dhis2-cluster:index:CorePool", name, None, opts)
        self._args = args
        self.awaited = [
            Awaited(args.naming.of(f"core-{number}"), f"core {number}") for number in range(1, args.cores + 1)
        ]
        files = volume("files", args.naming, self, keep=args.keep_data)
        first = container(
            "core-1",
            self._workload(1, files.name),
            pulumi.ResourceOptions(
                parent=self, depends_on=args.depends_on, hooks=args.gates.before_create("core-1", args.awaited)
            ),
        )
        # Not a hook: when all are replaced, core-1 has to serve before the next one is taken away.
        migrated = args.gates.after(first, all_ready(self.awaited[:1]))
        others = [
            container(
                f"core-{number}",
                self._workload(number, files.name),
                pulumi.ResourceOptions(parent=self, depends_on=migrated),
            )
            for number in range(2, args.cores + 1)
        ]
        self.containers = [first, *others]
        self.register_outputs({"cores": args.cores})

    async def renew(self, watcher: Watcher, loaded_at: int, forget: Callable[[], Awaitable[None]]) -> None:
        """End all cores and start them again, the first one alone, when one ran before the database was loaded.

        So it is after the database's volume was lost, while nothing else has changed: no core has migrated the new
        one. `loaded_at` is in epoch seconds, `forget` empties what cores keep of the database elsewhere.
        """
        if await outlived(watcher, self.awaited, loaded_at):
            pulumi.log.warn(
                "the database had to be loaded anew: the cores begin again, and people have to log in again"
            )
            await begin_again(watcher, self.awaited, GRACE_SECONDS, forget)

    def _workload(self, number: int, files: pulumi.Output[str]) -> Workload:
        args, home = self._args, self._args.release.home
        name = f"core-{number}"
        pool = C3P0_OPTIONS if args.release.pool == "c3p0" else ""
        # Said although the JVM sees the limit by itself: it does so at its start only, while the engine changes the
        # limit of a running container. So a changed limit makes a new core.
        options = [f"-XX:MaxRAM={args.memory_mb}m", JVM_OPTIONS, pool, args.java_options]
        return Workload(
            name=args.naming.of(name),
            image=args.image,
            uid=UID,
            memory_mb=args.memory_mb,
            hostname=name,
            labels=args.naming.labels("core", number),
            networks=(
                Attachment(network=args.app_network, aliases=("core", name)),
                Attachment(network=args.data_network, aliases=(name,)),
            ),
            environment={
                "DHIS2_HOME": home,
                # Read by every JVM; the images that have no Tomcat scripts read nothing else.
                "JAVA_TOOL_OPTIONS": " ".join(filter(None, options)),
                "BOOT_SECONDS": str(args.ready_timeout_seconds),
            },
            files=(
                File(path=GENERATION, content=args.generation),
                File(path=f"{home}/dhis.conf", content=self._conf(leader=number == 1 and self._core_1_leads)),
                *(
                    File(path=f"{TOMCAT}/conf/{name}", content=render(f"core/{name}"))
                    for name in ("server.xml", "logging.properties")
                ),
                File(path=f"{FILES}/health.sh", content=render("core/health.sh"), executable=True),
            ),
            mounts=(
                Mount(volume=files, path=f"{home}/files"),
                # The same volume once more, where every image has a folder open to all: a new volume takes that over.
                # The folder of its real place is in no image, and would be root's.
                Mount(volume=files, path="/var/tmp"),  # noqa: S108
            ),
            scratch=(Scratch(path="/tmp", size_mb=64),),  # noqa: S108
            health=Health(
                command=("/bin/sh", f"{FILES}/health.sh"),
                start_period_seconds=args.ready_timeout_seconds,
                timeout_seconds=15,
            ),
            grace_seconds=GRACE_SECONDS,
        )

    @property
    def _core_1_leads(self) -> bool:
        return self._args.release.core_1_leads and self._args.replicas > 0

    def _conf(self, *, leader: bool) -> pulumi.Output[str]:
        args = self._args

        def text(passwords: list[str]) -> str:
            database, cache, encryption = passwords
            return render(
                "core/dhis.conf.j2",
                replicas=args.replicas,
                leader=leader,
                analytics_unlogged_off=args.replicas > 0,
                pool=args.release.pool,
                base_url=args.base_url,
                extra=args.extra_conf,
                database_password=database,
                cache_password=cache,
                encryption_password=encryption,
            )

        passwords = pulumi.Output.all(args.database_password, args.cache_password, args.encryption_password)
        # Further keys may be other systems' secrets.
        return pulumi.Output.secret(passwords.apply(text))
