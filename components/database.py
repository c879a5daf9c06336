"""DatabasePair: a PostgreSQL primary, loaded from a dump, and its streaming replicas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker
import pulumi_random as random

from components import sizing
from components.engine.deliver import deliver, start_again
from components.engine.docker import container, volume
from components.engine.verdict import Goal
from components.engine.watch import Awaited, Watcher, execute
from components.gates import Gates
from components.naming import SHARED_DUMPS, Naming
from components.rendering import names, render
from components.seed import BLANK, Seed
from components.workload import FILES, GENERATION, SECRETS, Attachment, File, Health, Mount, Scratch, Workload

UID = 999  # postgres in the official images and those made from them
FETCH_UID = 101
FETCH_MEMORY_MB = 128
GRACE_SECONDS = 60  # a fast shutdown writes a checkpoint
DATA = "/var/lib/postgresql"  # not /data below it: images from PostgreSQL 18 on have only this one
FETCH_SCRIPT = "fetch-dump.sh"
REPLICA_SCRIPTS = ("database.sh", "health.sh", "lib.sh", "replica.sh")
PRIMARY_HOST = "postgres-primary"


@dataclass(frozen=True, kw_only=True)
class DatabasePairArgs:
    """What the databases are made of; memory in MB. Networks are given by their ids.

    `images` are those of the whole stack: while one of them cannot be had, nothing of an earlier database is touched.
    """

    naming: Naming
    gates: Gates
    image: pulumi.Input[str]
    fetch_image: pulumi.Input[str]
    data_network: pulumi.Input[str]
    edge_network: pulumi.Input[str]
    seed: Seed
    keep_data: bool
    replicas: int
    memory_mb: int
    ready_timeout_seconds: int
    app_password: pulumi.Input[str]
    replication_password: pulumi.Input[str]
    admin_password: pulumi.Input[str] | None = None
    images: Sequence[pulumi.Resource] = ()


class DatabasePair(pulumi.ComponentResource):
    """Primary and replicas.

    `generation` changes when the database is loaded anew: who holds something of the old one takes it as an input.
    `awaited` are the containers to wait for, `containers` their resources.
    """

    generation: pulumi.Output[str]
    awaited: list[Awaited]
    containers: list[docker.Container]

    def __init__(self, name: str, args: DatabasePairArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Registers the dump's fetch, the primary and the replicas."""
        super().__init__("dhis2-cluster:index:DatabasePair", name, None, opts)
        self._args = args
        # All that can fail to come is here before anything of an earlier database is touched: the dump and the images.
        dump = None if args.seed.key == BLANK else self._fetch()
        dumped = args.gates.after(dump, self._fetched) if dump else pulumi.Output.from_input([])
        here = dumped.apply(lambda found: [*found, *args.images])
        seeded = random.RandomId(
            "seed",
            byte_length=4,
            keepers={"dump": args.seed.key},
            # Deleted first, and with it everything that takes `generation`: nothing writes to a database that goes.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True, depends_on=here),
        )
        self.generation = seeded.hex
        primary = self._primary()
        replicas = [self._replica(number, primary) for number in range(1, args.replicas + 1)]
        self.containers = [primary, *replicas]
        self.awaited = [self._awaited_primary(), *map(self._awaited_replica, range(1, args.replicas + 1))]
        self.register_outputs({"generation": self.generation, "replicas": args.replicas})

    def _fetch(self) -> docker.Container:
        """The one-shot container that brings the dump into the cache; it stays, ended, as the record of that."""
        args, seed = self._args, self._args.seed
        cache = docker.Volume(
            "dumps",
            name=SHARED_DUMPS,
            labels=[docker.VolumeLabelArgs(label="dhis2-cluster.shared", value="dumps")],
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        self._dumps = cache.name
        files = [File(path=f"{FILES}/{FETCH_SCRIPT}", content=render(f"database/{FETCH_SCRIPT}"), executable=True)]
        if seed.url:
            files.append(File(path=f"{SECRETS}/dump-url", content=pulumi.Output.secret(seed.url)))
        workload = Workload(
            name=args.naming.of("dump"),
            image=args.fetch_image,
            uid=FETCH_UID,
            memory_mb=FETCH_MEMORY_MB,
            labels=args.naming.labels("dump"),
            networks=(Attachment(network=args.edge_network, aliases=("dump",)),),
            entrypoint=("/bin/sh", f"{FILES}/{FETCH_SCRIPT}"),
            environment={
                "SEED_KEY": seed.key,
                "SEED_NAME": seed.name,
                "DUMP_SOURCE": "file" if seed.path else "url",
            },
            files=tuple(files),
            # A folder everyone may write to: a new volume takes that over from the image.
            mounts=(Mount(volume=cache.name, path="/var/tmp"),),  # noqa: S108
            one_shot=True,
        )
        return container("dump", workload, pulumi.ResourceOptions(parent=self))

    async def _fetched(self, watcher: Watcher) -> None:
        seed, name = self._args.seed, self._args.naming.of("dump")
        running = await watcher.run(lambda client: start_again(client, name))
        path = seed.path
        if path and running:
            await watcher.run(lambda client: deliver(client, name, path, seed.key))
        await watcher.until_ready([Awaited(name, f"the dump {seed.name}", Goal.FINISHED)])

    async def loaded(self, watcher: Watcher) -> dict[str, str]:
        """What the running primary has noted of its load, `loaded_at` (epoch seconds) and others; empty without."""
        name = self._args.naming.of("primary")
        code, text = await watcher.run(lambda client: execute(client, name, ["cat", f"{DATA}/seeded"]))
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line) if code == 0 else {}

    def tell_what_is_loaded(self, loaded: Mapping[str, str]) -> None:
        """Warn when the database was loaded from another dump than the settings name, which keepData brings about."""
        seed = self._args.seed
        if loaded.get("seed_key", seed.key) != seed.key:
            pulumi.log.warn(
                f"the database was loaded from {loaded.get('seed_name')} and kept (keepData); {seed.name} is not "
                "loaded. To load it instead, and lose what is there: pulumi config set keepData false && pulumi up && "
                "pulumi destroy && pulumi up"
            )

    def _primary(self) -> docker.Container:
        args = self._args
        secrets = {"app-password": args.app_password, "replication-password": args.replication_password}
        if args.admin_password is not None:
            secrets["admin-password"] = args.admin_password
        mounts = [Mount(volume=self._data_volume("primary"), path=DATA)]
        if args.seed.key != BLANK:
            mounts.append(Mount(volume=self._dumps, path="/dumps", read_only=True))
        workload = self._server(
            "primary",
            1,
            "postgres-primary",
            environment={
                "SEED_KEY": args.seed.key,
                "SEED_NAME": args.seed.name,
                "DUMP_CONTAINER": args.naming.of("dump"),
                "KEEP_DATA": str(args.keep_data).lower(),
            },
            secrets=secrets,
            mounts=mounts,
            files=[File(path=GENERATION, content=self.generation)],
            # What a preview shows when the database is going to be loaded anew.
            labels={"dhis2-cluster.dump": args.seed.name},
        )
        return container("primary", workload, pulumi.ResourceOptions(parent=self))

    def _replica(self, number: int, primary: docker.Container) -> docker.Container:
        name = f"replica-{number}"
        workload = self._server(
            name,
            number,
            "postgres-replica",
            environment={"REPLICA_NAME": name, "PRIMARY_HOST": PRIMARY_HOST},
            secrets={"replication-password": self._args.replication_password},
            mounts=[Mount(volume=self._data_volume(name), path=DATA)],
            files=[],
            labels={},
        )
        hooks = self._args.gates.before_create(name, [self._awaited_primary()])
        return container(name, workload, pulumi.ResourceOptions(parent=self, depends_on=[primary], hooks=hooks))

    def _server(
        self,
        part: str,
        number: int,
        service: str,
        *,
        environment: dict[str, pulumi.Input[str]],
        secrets: dict[str, pulumi.Input[str]],
        mounts: list[Mount],
        files: list[File],
        labels: dict[str, pulumi.Input[str]],
    ) -> Workload:
        """What primary and replicas have in common."""
        args = self._args
        role = "primary" if part == "primary" else "replica"
        conf = render("database/postgresql.conf.j2", **sizing.postgres(args.memory_mb))
        return Workload(
            name=args.naming.of(part),
            image=args.image,
            uid=UID,
            memory_mb=args.memory_mb,
            hostname=part,
            labels={**args.naming.labels(service, number), **labels},
            networks=(Attachment(network=args.data_network, aliases=(f"postgres-{part}",)),),
            entrypoint=("/bin/sh", f"{FILES}/database.sh", role),
            environment=environment,
            files=(
                *files,
                *(
                    File(path=f"{FILES}/{script}", content=render(f"database/{script}"), executable=True)
                    for script in scripts_of(role)
                ),
                File(path=f"{FILES}/postgresql.conf", content=conf),
                File(path=f"{FILES}/pg_hba.conf", content=render("database/pg_hba.conf")),
                *(File(path=f"{SECRETS}/{name}", content=secret) for name, secret in secrets.items()),
            ),
            mounts=tuple(mounts),
            scratch=(Scratch(path="/var/run/postgresql", size_mb=16), Scratch(path="/tmp", size_mb=64)),  # noqa: S108
            shared_memory_mb=sizing.shared_memory_mb(args.memory_mb),
            health=Health(
                command=("/bin/sh", f"{FILES}/health.sh", role), start_period_seconds=args.ready_timeout_seconds
            ),
            stop_signal="SIGINT",
            grace_seconds=GRACE_SECONDS,
        )

    def _data_volume(self, part: str) -> pulumi.Output[str]:
        return volume(f"{part}-data", self._args.naming, self, keep=self._args.keep_data).name

    def _awaited_primary(self) -> Awaited:
        return Awaited(self._args.naming.of("primary"), "the primary database")

    def _awaited_replica(self, number: int) -> Awaited:
        return Awaited(self._args.naming.of(f"replica-{number}"), f"read replica {number}")


def scripts_of(role: str) -> list[str]:
    """The names of the scripts below components/files/database that a `primary` or a `replica` has, and no others."""
    if role == "replica":
        return list(REPLICA_SCRIPTS)
    every = names("database", ".sh", ".awk", ".sql")
    return [name for name in every if name not in (FETCH_SCRIPT, "replica.sh")]
