"""Cache: the Redis-protocol server that holds sessions, shared caches and the cores' notices to each other."""

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from components.engine.docker import container, volume
from components.engine.watch import Awaited, NotReady, Watcher, execute
from components.naming import Naming
from components.rendering import render
from components.workload import FILES, SECRETS, Attachment, File, Health, Mount, Scratch, Workload

UID = 999

# The password in the environment of this process only. The client ends with 0 when it is refused, so its answer counts.
EMPTY = f"""REDISCLI_AUTH=$(cat {SECRETS}/cache-password) VALKEYCLI_AUTH=$REDISCLI_AUTH
export REDISCLI_AUTH VALKEYCLI_AUTH
valkey-cli --no-auth-warning FLUSHALL"""


@dataclass(frozen=True, kw_only=True)
class CacheArgs:
    """What the cache is made of; memory in MB. Sessions of another `generation` are not read: their users and classes
    may be others."""

    naming: Naming
    image: pulumi.Input[str]
    data_network: pulumi.Input[str]
    memory_mb: int
    keep_data: bool
    password: pulumi.Output[str]
    generation: pulumi.Output[str]


class Cache(pulumi.ComponentResource):
    """One Valkey server; `awaited` is what to wait for, `container` its resource."""

    awaited: Awaited
    container: docker.Container

    def __init__(self, name: str, args: CacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Registers the volume and the container."""
        super().__init__("dhis2-cluster:index:Cache", name, None, opts)
        self.awaited = Awaited(args.naming.of("cache"), "the cache")
        data = volume("cache-data", args.naming, self, keep=args.keep_data)
        conf = pulumi.Output.all(args.password, args.generation).apply(
            lambda values: render(
                "cache/valkey.conf.j2", password=values[0], generation=values[1], memory_mb=args.memory_mb
            )
        )
        workload = Workload(
            name=args.naming.of("cache"),
            image=args.image,
            uid=UID,
            memory_mb=args.memory_mb,
            hostname="cache",
            labels=args.naming.labels("cache"),
            networks=(Attachment(network=args.data_network, aliases=("cache",)),),
            entrypoint=("valkey-server", f"{FILES}/valkey.conf"),
            files=(
                File(path=f"{FILES}/valkey.conf", content=conf),
                File(path=f"{FILES}/health.sh", content=render("cache/health.sh"), executable=True),
                File(path=f"{SECRETS}/cache-password", content=args.password),
            ),
            mounts=(Mount(volume=data.name, path="/data"),),
            scratch=(Scratch(path="/tmp", size_mb=16),),  # noqa: S108
            health=Health(command=("/bin/sh", f"{FILES}/health.sh"), start_period_seconds=60),
            grace_seconds=20,
        )
        self.container = container("cache", workload, pulumi.ResourceOptions(parent=self))
        self.register_outputs({"container": self.container.name})

    async def forget(self, watcher: Watcher) -> None:
        """Empty it: logins and cached objects of a database that is no more. Raises NotReady when it refuses."""
        command = ["/bin/sh", "-c", EMPTY]
        _, text = await watcher.run(lambda client: execute(client, self.awaited.container, command))
        if text.strip() != "OK":
            raise NotReady(f"{self.awaited.what} cannot be emptied: {text.strip()}. Try again: pulumi up --refresh")
