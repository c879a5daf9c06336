"""DatabasePair: a PostgreSQL primary, restored from a dump, and its streaming replicas."""

from dataclasses import dataclass

import pulumi
import pulumi_random as random

from components.database import sizing
from components.database.dump_fetch import SCRIPT as FETCH_SCRIPT
from components.database.dump_fetch import fetch_dump
from components.dhis2.dump_source import BLANK, DumpSource
from components.orchestrator.container_spec import (
    FILES,
    SECRETS,
    ContainerSpec,
    File,
    Healthcheck,
    Mount,
    NetworkAttachment,
    Tmpfs,
)
from components.orchestrator.docker import container, dump_cache_volume, volume
from components.orchestrator.readiness import WaitTarget, Watcher, execute
from components.settings.model import Settings
from components.stack_context import Endpoint, Images, Networks, Service, StackContext
from components.templates.rendering import file_names, render

UID = 999  # postgres in the official images and those built from them
STOP_TIMEOUT_SECONDS = 60  # a fast shutdown writes a checkpoint
START_PERIOD_SECONDS = 600
DATA = "/var/lib/postgresql"  # not /data below it: images from PostgreSQL 18 on have only this one
PORT = 5432
REPLICA_SCRIPTS = ("database.sh", "health.sh", "lib.sh", "replica.sh", "standby-checks.sh")


@dataclass(frozen=True, kw_only=True)
class DatabasePairArgs:
    """What the databases take.

    `images` are those of the whole stack: while one of them cannot be pulled, nothing of an existing database changes.
    """

    context: StackContext
    images: Images
    networks: Networks
    settings: Settings
    dump: DumpSource
    app_password: pulumi.Input[str]
    replication_password: pulumi.Input[str]
    admin_password: pulumi.Input[str] | None = None


class DatabasePair(pulumi.ComponentResource):
    """The `primary` and its `replicas`.

    `core_replacement` is replaced with the dump and with the image of the cores, before anything of the databases
    changes. Containers that must be deleted by then, because they write to the database or hold data of it, have it in
    `replace_with`.
    """

    primary: Service
    replicas: list[Service]
    core_replacement: pulumi.CustomResource

    def __init__(self, name: str, args: DatabasePairArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the dump's fetch, the primary and the replicas."""
        super().__init__("dhis2-cluster:index:DatabasePair", name, None, opts)
        self._args, dump = args, args.dump
        self._dump_cache = dump_cache_volume(self) if dump.key != BLANK else None
        # Everything that may fail is there before anything of an existing database changes: the dump and the images.
        fetched = (
            fetch_dump(
                dump,
                self._dump_cache,
                context=args.context,
                image=args.images.load_balancer,
                networks=args.networks,
                parent=self,
            )
            if self._dump_cache
            else pulumi.Output.from_input([])
        )
        self.core_replacement = random.RandomId(
            "core-replacement",
            byte_length=4,
            keepers={"image": args.images.core.id, "dump": dump.key},
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,
                depends_on=fetched.apply(lambda resources: [*resources, *args.images.resources]),
                # Its name in version 0.1: stacks deployed by it are taken over with their cores deleted first, too.
                aliases=[pulumi.Alias(name="generation", parent=opts.parent if opts else None)],
            ),
        )
        self.primary = self._primary()
        self.replicas = [self._replica(number) for number in range(1, args.settings.replicas + 1)]
        self.register_outputs({"replicas": args.settings.replicas})

    @property
    def services(self) -> list[Service]:
        """The primary and its replicas."""
        return [self.primary, *self.replicas]

    async def until_ready(self, watcher: Watcher) -> None:
        """Return when all are healthy, and warn when keepData has kept another dump's database. Raises NotReady."""
        await watcher.until_ready([service.wait_target for service in self.services])
        dump, marker = self._args.dump, await self._restore_marker(watcher)
        if marker.get("dump_key", dump.key) != dump.key:
            pulumi.log.warn(
                f"the database was restored from {marker.get('dump_name')} and kept (keepData); {dump.name} is not restored. To restore it instead, and lose the present data: pulumi config set keepData false && pulumi up && pulumi destroy && pulumi up"
            )

    async def restored_at(self, watcher: Watcher) -> int:
        """Return when the running primary's database was restored, in epoch seconds; 0 without a marker."""
        return int((await self._restore_marker(watcher)).get("restored_at", 0))

    async def _restore_marker(self, watcher: Watcher) -> dict[str, str]:
        """Return the running primary's record of its restore: `restored_at`, `dump_key`, `dump_name` and others."""
        name = self.primary.wait_target.container
        code, text = await watcher.run(lambda client: execute(client, name, ["cat", f"{DATA}/restored"]))
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line) if code == 0 else {}

    def _primary(self) -> Service:
        args, dump = self._args, self._args.dump
        secrets = {"app-password": args.app_password, "replication-password": args.replication_password}
        if args.admin_password is not None:
            secrets["admin-password"] = args.admin_password
        mounts = [Mount(volume=volume("primary-data", args.context, self), path=DATA)]
        if self._dump_cache:
            mounts.append(Mount(volume=self._dump_cache, path="/dumps", read_only=True))
        return self._server(
            "primary",
            1,
            WaitTarget(args.context.naming.of("primary"), "the primary database"),
            environment={
                "DUMP_KEY": dump.key,
                "DUMP_NAME": dump.name,
                "DUMP_CONTAINER": args.context.naming.of("dump"),
                "KEEP_DATA": str(args.context.keep_data).lower(),
            },
            secrets=secrets,
            mounts=mounts,
            # What a preview shows when the database is going to be restored again.
            labels={"dhis2-cluster.dump": dump.name},
            # After the cores are deleted: none writes to a database that is being replaced.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.core_replacement]),
        )

    def _replica(self, number: int) -> Service:
        context, name = self._args.context, f"replica-{number}"
        hooks = context.gates.before_create(name, [self.primary.wait_target])
        return self._server(
            name,
            number,
            WaitTarget(context.naming.of(name), f"read replica {number}"),
            environment={"REPLICA_NAME": name, "PRIMARY_HOST": self.primary.endpoint.host},
            secrets={"replication-password": self._args.replication_password},
            mounts=[Mount(volume=volume(f"{name}-data", context, self), path=DATA)],
            labels={},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.primary.resource], hooks=hooks),
        )

    def _server(
        self,
        part: str,
        number: int,
        target: WaitTarget,
        *,
        environment: dict[str, pulumi.Input[str]],
        secrets: dict[str, pulumi.Input[str]],
        mounts: list[Mount],
        labels: dict[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions,
    ) -> Service:
        """Register the container of the primary or of a replica."""
        args = self._args
        role = "primary" if part == "primary" else "replica"
        memory_mb, endpoint = args.settings.database_memory_mb, Endpoint(f"postgres-{part}", PORT)
        spec = ContainerSpec(
            name=target.container,
            image=args.images.database.id,
            uid=UID,
            memory_mb=memory_mb,
            hostname=part,
            labels={**args.context.naming.labels(f"postgres-{role}", number), **labels},
            networks=(NetworkAttachment(network=args.networks.data, aliases=(endpoint.host,)),),
            entrypoint=("/bin/bash", f"{FILES}/database.sh", role),
            environment=environment,
            files=(
                *(
                    File(path=f"{FILES}/{script}", content=render(f"database/{script}"), executable=True)
                    for script in scripts_of(role)
                ),
                File(
                    path=f"{FILES}/postgresql.conf",
                    content=render("database/postgresql.conf.j2", **sizing.postgres(memory_mb)),
                ),
                File(path=f"{FILES}/pg_hba.conf", content=render("database/pg_hba.conf")),
                *(File(path=f"{SECRETS}/{name}", content=secret) for name, secret in secrets.items()),
            ),
            mounts=tuple(mounts),
            tmpfs=(Tmpfs(path="/var/run/postgresql", size_mb=16), Tmpfs(path="/tmp", size_mb=64)),  # noqa: S108
            shared_memory_mb=sizing.shared_memory_mb(memory_mb),
            healthcheck=Healthcheck(
                command=("/bin/sh", f"{FILES}/health.sh", role), start_period_seconds=START_PERIOD_SECONDS
            ),
            stop_signal="SIGINT",
            stop_timeout_seconds=STOP_TIMEOUT_SECONDS,
        )
        return Service(resource=container(part, spec, opts), wait_target=target, endpoint=endpoint)


def scripts_of(role: str) -> list[str]:
    """Return the names of the files in components/database/files that a `primary` or a `replica` runs."""
    if role == "replica":
        return list(REPLICA_SCRIPTS)
    scripts = file_names("database", ".sh", ".awk", ".sql")
    return [name for name in scripts if name not in (FETCH_SCRIPT, "replica.sh", "standby-checks.sh")]
