"""Cluster: networks, images, secrets, and the parts wired in the order data flows."""

from dataclasses import dataclass
from functools import partial

import pulumi
import pulumi_docker as docker
import pulumi_random as random

from components.cache import Cache, CacheArgs
from components.core import CorePool, CorePoolArgs
from components.database import DatabasePair, DatabasePairArgs
from components.engine.watch import Watcher
from components.gates import Gates
from components.load_balancer import LoadBalancer, LoadBalancerArgs
from components.naming import Naming
from components.release import Release
from components.seed import Seed
from components.settings import Settings

PASSWORD_LENGTH = 32
DEMO_PASSWORD = "district"  # noqa: S105 - that of every DHIS2 dump and of an empty database, known to all


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """A stack: its settings, what they resolve to, and how its objects are called."""

    settings: Settings
    release: Release
    seed: Seed
    naming: Naming
    gates: Gates


class Cluster(pulumi.ComponentResource):
    """A whole stack. `ready` is true once DHIS2 answers through the load balancer (false in a preview)."""

    ready: pulumi.Output[bool]
    admin_password: pulumi.Output[str]

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Registers everything the stack has."""
        super().__init__("dhis2-cluster:index:Cluster", name, None, opts)
        self._args, self._child = args, pulumi.ResourceOptions(parent=self)
        settings = args.settings
        load_balancer_image = self._image("load-balancer-image", settings.load_balancer_image)
        database_image = self._image("database-image", settings.database_image)
        cache_image = self._image("cache-image", settings.cache_image)
        core_image = self._image("core-image", args.release.image)
        images = [load_balancer_image, database_image, cache_image, core_image]
        edge, app, data = self._network("edge"), self._network("app"), self._network("data", internal=True)
        # First, because it shows a page while DHIS2 starts, and because a busy port should be noticed at once.
        self.load_balancer = LoadBalancer(
            "load-balancer",
            LoadBalancerArgs(
                naming=args.naming,
                image=load_balancer_image.image_id,
                edge_network=edge,
                app_network=app,
                port=settings.port,
                bind=settings.bind,
                # It has no TLS itself.
                behind_a_proxy=settings.public_url.startswith("https:"),
            ),
            self._child,
        )
        self.database = self._databases(images, data, edge)
        generation = self._generation(core_image.image_id)
        self._cache_password = self._password("cache")
        self.cache = Cache(
            "cache",
            CacheArgs(
                naming=args.naming,
                image=cache_image.image_id,
                data_network=data,
                memory_mb=settings.cache_memory_mb,
                keep_data=settings.keep_data,
                password=self._cache_password,
                generation=generation,
            ),
            self._child,
        )
        self.cores = self._cores(core_image.image_id, generation, app, data)
        self.ready = self._ready()
        chosen = settings.admin_password
        self.admin_password = pulumi.Output.secret(chosen.get_secret_value() if chosen else DEMO_PASSWORD)
        self.register_outputs({"ready": self.ready})

    def _databases(
        self, images: list[docker.RemoteImage], data: pulumi.Output[str], edge: pulumi.Output[str]
    ) -> DatabasePair:
        load_balancer_image, database_image, *_ = images
        args, settings = self._args, self._args.settings
        chosen = settings.admin_password
        self._app_password = self._password("database")
        return DatabasePair(
            "database",
            DatabasePairArgs(
                naming=args.naming,
                gates=args.gates,
                image=database_image.image_id,
                fetch_image=load_balancer_image.image_id,
                images=images,
                data_network=data,
                edge_network=edge,
                seed=args.seed,
                keep_data=settings.keep_data,
                replicas=settings.replicas,
                memory_mb=settings.database_memory_mb,
                ready_timeout_seconds=settings.ready_timeout_seconds,
                app_password=self._app_password,
                replication_password=self._password("replication"),
                admin_password=pulumi.Output.secret(chosen.get_secret_value()) if chosen else None,
            ),
            self._child,
        )

    def _generation(self, core_image: pulumi.Output[str]) -> pulumi.Output[str]:
        """What changes with the cores' image or the database's load: then every core is gone before a new one starts,
        since an old one would go on writing to a database that is being migrated."""
        return random.RandomId(
            "generation",
            byte_length=4,
            keepers={"image": core_image, "database": self.database.generation},
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        ).hex

    def _cores(
        self,
        image: pulumi.Output[str],
        generation: pulumi.Output[str],
        app: pulumi.Output[str],
        data: pulumi.Output[str],
    ) -> CorePool:
        args, settings = self._args, self._args.settings
        return CorePool(
            "cores",
            CorePoolArgs(
                naming=args.naming,
                gates=args.gates,
                release=args.release,
                image=image,
                app_network=app,
                data_network=data,
                cores=settings.cores,
                replicas=settings.replicas,
                memory_mb=settings.core_memory_mb,
                java_options=settings.java_options,
                extra_conf=settings.dhis_conf,
                base_url=settings.public_url,
                keep_data=settings.keep_data,
                ready_timeout_seconds=settings.ready_timeout_seconds,
                generation=generation,
                awaited=[*self.database.awaited, self.cache.awaited],
                depends_on=[*self.database.containers, self.cache.container],
                database_password=self._app_password,
                cache_password=self._cache_password,
                encryption_password=self._password("encryption"),
            ),
            self._child,
        )

    def _ready(self) -> pulumi.Output[bool]:
        lb = self.load_balancer
        awaited = [*self.cores.awaited, lb.awaited]
        containers = [*self.database.containers, self.cache.container, *self.cores.containers, lb.container]

        async def check(watcher: Watcher) -> None:
            await watcher.until_ready([*self.database.awaited, self.cache.awaited])
            loaded = await self.database.loaded(watcher)
            await self.cores.renew(watcher, int(loaded.get("loaded_at", 0)), partial(self.cache.forget, watcher))
            await watcher.until_ready(awaited)
            self.database.tell_what_is_loaded(loaded)
            await lb.answers(watcher)

        return self._args.gates.settled(containers, check)

    def _image(self, name: str, reference: str) -> docker.RemoteImage:
        """An image, used by its id; the new one is there before anything that uses the old one ends."""
        return docker.RemoteImage(name, name=reference, keep_locally=True, opts=pulumi.ResourceOptions(parent=self))

    def _network(self, part: str, *, internal: bool = False) -> pulumi.Output[str]:
        """A network by its id, not its name: containers of one that was removed are made again with the new one."""
        naming = self._args.naming
        return docker.Network(
            part,
            name=naming.of(part),
            internal=internal,
            labels=[docker.NetworkLabelArgs(label=k, value=v) for k, v in naming.object_labels().items()],
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["labels"]),
        ).id

    def _password(self, use: str) -> pulumi.Output[str]:
        """A generated password, letters and digits only: it goes into files of four syntaxes."""
        return random.RandomPassword(
            f"{use}-password",
            length=PASSWORD_LENGTH,
            special=False,
            opts=pulumi.ResourceOptions(parent=self),
        ).result
