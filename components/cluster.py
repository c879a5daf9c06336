"""Cluster: networks, images, passwords, and the parts wired in the order data flows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import pulumi
import pulumi_random as random

from components.backup.backup import Backup, BackupArgs
from components.cache.cache import Cache, CacheArgs
from components.core.core_pool import CorePool, CorePoolArgs
from components.database.apps import install_apps
from components.database.database_pair import BackupAccess, DatabasePair, DatabasePairArgs
from components.database.passwords import AdminPassword, AdminPasswords, EncryptionPassword
from components.database_roles import DatabaseRoles
from components.dhis2.dump_source import DumpSource
from components.dhis2.release import Release
from components.file_store.file_store import FileStore
from components.load_balancer.load_balancer import OWN, SELF_SIGNED, LoadBalancer, LoadBalancerArgs
from components.naming import NETWORKS, Naming
from components.orchestrator.gates import Gates
from components.orchestrator.interface import Orchestrator
from components.orchestrator.watcher import Watcher
from components.settings.model import LETS_ENCRYPT, Settings, Tls
from components.stack_context import AcmeWebServer, CertificateVolume, Images, Networks, Part, StackContext
from components.tls.acme_client import AcmeClient, AcmeClientArgs
from components.tls.own_certificate import OwnCertificate

PASSWORD_LENGTH = 32
# What cores connect with. Before it is replaced all cores are deleted: an old one could not connect any more, and would
# answer with errors. Not the encryption password: another one is refused, and the cores run on with the old one.
OF_CONNECTIONS = ("database", "cache")
OF_DATABASES = ("database", "replication", "backup-role")
OTHER_PASSWORD = "not known to the program: it is the dump's own, or was changed in DHIS2"  # noqa: S105 - it is none


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """A stack: its names, what runs it, its gates, its settings, and what these resolve to.

    `orchestrator` takes the cluster, whose it is.
    """

    naming: Naming
    orchestrator: Callable[[pulumi.Resource], Orchestrator]
    gates: Gates
    settings: Settings
    release: Release
    dump: DumpSource
    roles: DatabaseRoles | None = None


class Cluster(pulumi.ComponentResource):
    """A whole stack. `ready` is true once DHIS2 answers through the load balancer (false in a preview)."""

    ready: pulumi.Output[bool]
    admin_password: pulumi.Output[str]
    encryption_password: pulumi.Output[str]
    backup_password: pulumi.Output[str] | None
    _admin_has: AdminPassword | None = None

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register all resources of the stack."""
        super().__init__("dhis2-cluster:index:Cluster", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        orchestrator, settings = args.orchestrator(self), args.settings
        images = Images(
            load_balancer=orchestrator.image("load-balancer-image", settings.load_balancer_image, self),
            database=orchestrator.image("database-image", settings.database_image, self),
            cache=orchestrator.image("cache-image", settings.cache_image, self),
            core=orchestrator.image("core-image", args.release.image, self),
        )
        networks = Networks(**{part: orchestrator.network(part, self, internal=part == "data") for part in NETWORKS})
        context = StackContext(
            naming=args.naming,
            orchestrator=orchestrator,
            gates=args.gates,
            settings=settings,
            networks=networks,
            images=images,
            roles=args.roles,
        )
        self._context = context
        self.files = FileStore(context, args.release, self)
        encryption, passwords = settings.encryption_password, self._admin_passwords(settings)
        generated = self._password("encryption")  # kept in the state, where the setting replaces it too
        database_password, cache_password = self._password("database"), self._password("cache")
        # Also while there are no backups: those of before are encrypted with it.
        repository_password = self._password("backup")
        backup = self._backup_access(context)
        is_open = settings.is_open_to_others
        self._pem = self._pem_files(settings)
        lb = LoadBalancerArgs(
            context,
            CorePool.endpoint,
            lambda: self.cores.services,
            settings_cached=args.release.caches_settings_in_process,
            pem_files=self._pem,
            hsts=is_publicly_trusted(settings),
        )
        if not is_open:
            # First, because it serves a page while DHIS2 starts, and because a busy port should be reported at once.
            self.load_balancer = LoadBalancer("load-balancer", lb, child)
        self.database = DatabasePair(
            "database",
            DatabasePairArgs(
                context=context,
                dump=args.dump,
                app_password=database_password,
                replication_password=self._password("replication"),
                admin_passwords=passwords,
                encryption_password=EncryptionPassword(
                    value=pulumi.Output.secret(encryption.get_secret_value()) if encryption else generated,
                    from_setting=encryption is not None,
                ),
                backup=backup,
                files_tried=self.files.tried,
            ),
            child,
        )
        self.cache = Cache("cache", CacheArgs(context, cache_password, self.database.core_replacement), child)
        self.cores = CorePool(
            "cores",
            CorePoolArgs(
                context=context,
                release=args.release,
                primary=self.database.primary,
                replicas=self.database.replicas,
                cache=self.cache.service,
                files=self.files,
                core_replacement=self.database.core_replacement,
                restored_at=self.database.restored_at,
                flush_cache=self.cache.flush,
                database_password=database_password,
                cache_password=cache_password,
                encryption_password=self.database.encryption_password,
            ),
            child,
        )
        if is_open:
            # Last, because the user admin of a dump or of a blank database has a well-known password.
            hooks = context.gates.before_create_check("lb", self._until_admin_is_safe)
            cores = [core.resource for core in self.cores.services]
            self.load_balancer = LoadBalancer("load-balancer", replace(lb, depends_on=cores, hooks=hooks), child)
        chosen = settings.backup_password
        password = pulumi.Output.secret(chosen.get_secret_value()) if chosen else repository_password
        self.backup_password = password if backup else None
        self.backups = [self._backup(context, args.release, backup, password)] if backup else []
        self.acme_client, installed = self._certificate(context)
        ready = self._ready(context, args.release)
        self.ready = pulumi.Output.all(installed, ready).apply(all) if installed else ready
        self.admin_password = self._admin_password(passwords)
        self.encryption_password = self.database.encryption_password
        self.register_outputs({"ready": self.ready})

    def _backup_access(self, context: StackContext) -> BackupAccess | None:
        """Return what other parts know of the backups; None without them. Their volume outlives the stack."""
        if context.settings.backup_cron is None:
            return None
        repository = context.orchestrator.volume("backup", self, kept=True)
        return BackupAccess(volume=repository, role_password=self._password("backup-role"))

    def _backup(
        self, context: StackContext, release: Release, access: BackupAccess, password: pulumi.Output[str]
    ) -> Backup:
        args = BackupArgs(
            context=context,
            release=release,
            cron=context.settings.backup_cron or "",
            volume=access.volume,
            files=self.files,
            primary=self.database.primary,
            core=self.cores.services[0],
            password=password,
            role_password=access.role_password,
            encryption_password=self.database.encryption_password,
        )
        return Backup("backups", args, pulumi.ResourceOptions(parent=self))

    def _ready(self, context: StackContext, release: Release) -> pulumi.Output[bool]:
        # Backends first: a failure names the part that has it, and the cores know when the database was restored.
        parts: list[Part] = [self.database, self.cache, self.cores, self.load_balancer]
        # Last, because DHIS2 serves without the answer of a CA.
        certificates: list[Part] = [self.acme_client] if self.acme_client else []

        async def check(watcher: Watcher) -> None:
            for part in parts:
                await part.until_ready(watcher)
            await self._verify_admin_password(watcher)
            await self.database.build_analytics(watcher, self.cores.services[0].endpoint, self._admin_has)
            cores = [core.endpoint for core in self.cores.services]
            await install_apps(
                watcher, context.naming, cores, self._admin_has, settings=context.settings, release=release
            )
            for part in (*certificates, *self.backups):
                await part.until_ready(watcher)

        every: list[Part] = [*parts, *certificates, *self.backups]
        return context.gates.when_ready([service.resource for part in every for service in part.services], check)

    async def _until_admin_is_safe(self, watcher: Watcher) -> None:
        for part in (self.database, self.cache, self.cores):
            await part.until_ready(watcher)
        await self._verify_admin_password(watcher)

    async def _verify_admin_password(self, watcher: Watcher) -> None:
        first, restart = self.cores.services[0].endpoint, partial(self.cores.restart, watcher)
        self._admin_has = await self.database.verify_admin_password(watcher, first, restart)

    def _admin_passwords(self, settings: Settings) -> AdminPasswords:
        chosen = settings.admin_password
        unset = AdminPassword.GENERATED if settings.is_open_to_others else AdminPassword.DEFAULT
        return AdminPasswords(
            setting=chosen.get_secret_value() if chosen else None,
            # DHIS2 wants a character of each kind in a password.
            generated=pulumi.Output.concat(self._password("admin"), "-Aa1"),
            assigned=AdminPassword.SETTING if chosen else unset,
        )

    def _admin_password(self, passwords: AdminPasswords) -> pulumi.Output[str]:
        """Return the password that the login at the end of `up` was made with; in a preview the one it will be."""

        def known(ready: bool) -> pulumi.Output[str]:
            has = self._admin_has if ready else passwords.assigned
            return pulumi.Output.secret(OTHER_PASSWORD) if has is None else passwords.value(has)

        return self.ready.apply(known)

    def _pem_files(self, settings: Settings) -> dict[str, pulumi.Output[str]]:
        """Return PEM texts of a key and its certificate each, by the paths at which the load balancer has them."""
        if not settings.https:
            return {}
        from components.tls.pem import pair, self_signed  # noqa: PLC0415 - see components/tls/pem.py

        seed = self._password("certificate")
        if settings.on_swarm and settings.tls is Tls.CERTIFICATE:
            return {OWN: pulumi.Output.secret(pair(settings.tls_certificate or "", settings.tls_key or ""))}
        files = {SELF_SIGNED: seed.apply(lambda seed: self_signed(seed, settings.host))}
        if settings.on_swarm and settings.tls is Tls.ACME:
            host = AcmeWebServer.host
            # Another key than that of the certificate which users may get.
            files[AcmeWebServer.pair] = seed.apply(lambda seed: self_signed(f"{seed} {host}", host, for_clients=True))
        return {path: pulumi.Output.secret(text) for path, text in files.items()}

    def _certificate(self, context: StackContext) -> tuple[AcmeClient | None, pulumi.Output[bool] | None]:
        """Return the client of a CA, or an output that is true once your own certificate is served."""
        settings, balancer = context.settings, self.load_balancer
        if settings.tls is Tls.CERTIFICATE and settings.on_swarm:
            return None, None  # among the load balancer's secrets
        if settings.tls is Tls.CERTIFICATE:
            own = OwnCertificate(settings=settings, load_balancer=balancer.service)
            return None, context.gates.when_ready([balancer.service.resource], own.install)
        if balancer.certificates is None or settings.tls is not Tls.ACME:
            return None, None
        volume = balancer.certificates
        if settings.on_swarm:
            volume = CertificateVolume(context.orchestrator.volume("acme", self))
        pair = self._pem.get(AcmeWebServer.pair)
        args = AcmeClientArgs(context=context, volume=volume, load_balancer=balancer.service, pair=pair)
        return AcmeClient("acme-client", args, pulumi.ResourceOptions(parent=self)), None

    def _password(self, use: str) -> pulumi.Output[str]:
        """Return a generated password, letters and digits only: it goes into files of four syntaxes."""
        of_connections = use in OF_CONNECTIONS
        # A primary that comes back after a promotion refuses the cores and replicas of the new one.
        keepers = self._context.after_promotions if use in OF_DATABASES else {}
        options = pulumi.ResourceOptions(
            parent=self,
            # Where files are objects of their own, the old ones are in use until the cores have the others.
            delete_before_replace=of_connections and not self._context.orchestrator.changes_in_place,
            # What may fail is tried before the cores are deleted.
            depends_on=self.files.once_tried([]) if of_connections else None,
        )
        return random.RandomPassword(
            f"{use}-password", length=PASSWORD_LENGTH, special=False, keepers=keepers or None, opts=options
        ).result


def is_publicly_trusted(settings: Settings) -> bool:
    """Return whether browsers trust the certificate of these settings without a root certificate of your own."""
    if settings.tls is not Tls.CERTIFICATE:
        return settings.tls is Tls.ACME and settings.acme_server == LETS_ENCRYPT
    from components.tls.pem import parse_chain  # noqa: PLC0415 - see components/tls/pem.py

    return parse_chain(settings.tls_certificate or "").is_publicly_trusted(settings.hostname or "")
