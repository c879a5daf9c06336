"""DatabasePair: a PostgreSQL primary, restored from a dump, and its streaming replicas."""

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pulumi
import pulumi_random as random

from components.database import sizing
from components.database.analytics import build_analytics
from components.database.dump_fetch import FETCH_SCRIPT, fetch_dump
from components.database.passwords import (
    AdminPassword,
    AdminPasswords,
    EncryptionPassword,
    check_encryption_password,
    verify_admin_password,
)
from components.database.role_change import SCRIPT as ROLE_CHANGE
from components.database.role_change import HandOver, stop_all
from components.database_roles import DUMP, DUMP_KEY
from components.dhis2.dump_source import DumpSource
from components.dhis2.release import NO_DUMP
from components.orchestrator.commands import marker_of
from components.orchestrator.container_paths import FILES
from components.orchestrator.container_spec import ContainerSpec, File, Mount, NetworkAttachment, secret_file
from components.orchestrator.interface import Endpoint, Service
from components.orchestrator.watcher import NotReady, WaitTarget, Watcher
from components.stack_context import StackContext
from components.templates.rendering import file_names, render

UID = 999  # postgres in the official images and those built from them
DATA = "/var/lib/postgresql"  # not /data below it: images from PostgreSQL 18 on have only this one
MARKER = f"{DATA}/restored"
PORT = 5432
RUN = "/var/run/postgresql"
WARNINGS = f"{RUN}/warnings"  # of the primary's last start, `warning=` before each
# Where the password that is assigned to admin comes from, as the scripts name it.
_SOURCES = {AdminPassword.SETTING: "setting", AdminPassword.GENERATED: "generator", AdminPassword.DEFAULT: "dump"}
BESIDE = "beside.sh"  # of what runs beside the primary
REPLICA_SCRIPTS = ("database.sh", "environment.sh", "health.sh", "lib.sh", "replica.sh", "standby-checks.sh")


@dataclass(frozen=True, kw_only=True)
class BackupAccess:
    """What the primary takes of the backups: their volume, which it restores sets from, and their role's password."""

    volume: pulumi.Output[str]
    role_password: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True)
class DatabasePairArgs:
    """What the databases take. `files_tried` holds back what deletes cores, until their files were tried."""

    context: StackContext
    dump: DumpSource
    app_password: pulumi.Input[str]
    replication_password: pulumi.Input[str]
    encryption_password: EncryptionPassword
    admin_passwords: AdminPasswords
    backup: BackupAccess | None = None
    files_tried: pulumi.Output[bool] | None = None


class DatabasePair(pulumi.ComponentResource):
    """The `primary` and its `replicas`.

    `core_replacement` is replaced with the dump and with the image of the cores, before anything of the databases
    changes. Containers that must be deleted by then, because they write to the database or hold data of it, have it in
    `replace_with`. `encryption_password` resolves once it is known to fit the database of the stack.
    """

    primary: Service
    replicas: list[Service]
    services: list[Service]
    core_replacement: pulumi.CustomResource
    encryption_password: pulumi.Output[str]

    def __init__(self, name: str, args: DatabasePairArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the dump's fetch, the primary and the replicas."""
        super().__init__("dhis2-cluster:index:DatabasePair", name, None, opts)
        self._args, context, dump = args, args.context, args.dump
        self._restore_marker: Mapping[str, str] = {}
        self._began = int(time.time())
        self._dump_cache = context.orchestrator.dump_cache_volume(self) if dump.key != NO_DUMP else None
        self.encryption_password = args.encryption_password.value.apply(self._checked_encryption_password)
        # What may fail is there before anything of an existing database changes: the dump and all images of the stack.
        fetched = (
            fetch_dump(dump, self._dump_cache, context, self) if self._dump_cache else pulumi.Output.from_input([])
        )
        tried = [args.files_tried] if args.files_tried is not None else []
        self.core_replacement = random.RandomId(
            "core-replacement",
            byte_length=4,
            keepers={"image": context.images.core.id, "dump": dump.key, **context.after_promotions},
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,
                depends_on=pulumi.Output.all(fetched, self.encryption_password, *tried).apply(
                    lambda done: [*done[0], *(image.resource for image in context.images)]
                ),
                # Its name in version 0.1: stacks deployed by it are taken over with their cores deleted first, too.
                aliases=[pulumi.Alias(name="generation", parent=opts.parent if opts else None)],
            ),
        )
        self.primary = self._primary()
        self.replicas = [self._replica(number) for number in range(1, context.settings.replicas + 1)]
        self.services = [self.primary, *self.replicas]
        self.register_outputs({"replicas": context.settings.replicas})

    async def until_ready(self, watcher: Watcher) -> None:
        """Return when all are healthy, and report the primary's warnings and a kept database. Raises NotReady."""
        await watcher.until_ready([server.wait_target for server in self.services])
        dump, (marker, warnings) = self._args.dump, await self._read_restore_marker(watcher)
        self._restore_marker = marker
        if marker.get("copied") and int(marker["restored_at"]) >= self._began:
            pulumi.log.info(
                f"the database started from the copy of an earlier restore of {dump.name} in the dump cache"
            )
        for warning in warnings:
            pulumi.log.warn(f"{self.primary.wait_target.container}: {warning}")
        if marker.get("encryption_password"):
            pulumi.log.warn(
                f"the database was used with another encryption.password than the generated one, and DHIS2 cannot read what is encrypted in it. If you have that one: pulumi config set --secret encryptionPassword && pulumi up. Otherwise enter these values again in DHIS2, then: docker exec {self.primary.wait_target.container} bash {FILES}/passwords.sh remove-fingerprint"
            )
        if marker.get("dump_key", dump.key) != dump.key:
            pulumi.log.warn(
                f"the database was restored from {marker.get('dump_name')} and kept (keepData); {dump.name} is not restored. To restore it instead, and lose the present data: pulumi config set keepData false && pulumi up && pulumi destroy && pulumi up"
            )

    async def verify_admin_password(
        self,
        watcher: Watcher,
        core: Endpoint,
        restart_cores: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]],
    ) -> AdminPassword | None:
        """Return which password the user admin has, after a login with it at a core. Raises NotReady."""
        is_open, primary = self._args.context.settings.is_open_to_others, self.primary.wait_target.container
        return await verify_admin_password(watcher, primary, core, restart_cores, is_open=is_open)

    async def build_analytics(self, watcher: Watcher, core: Endpoint, admin: AdminPassword | None) -> None:
        """Have the analytics tables built after a restore, and log where that stands. Fails no `up`."""
        if self._args.context.settings.analytics:
            await build_analytics(watcher, self._args.context.naming, core, admin, self._restore_marker)

    def restored_at(self) -> int:
        """Return when the running primary's database was restored, in epoch seconds; 0 without a marker.

        It is known once `until_ready` has returned.
        """
        return int(self._restore_marker.get("restored_at", 0))

    async def _read_restore_marker(self, watcher: Watcher) -> tuple[dict[str, str], list[str]]:
        """Return the primary's record of its restore (`restored_at` and others) and the warnings of its last start."""
        name = self.primary.wait_target.container
        code, text = await watcher.execute(name, ["cat", MARKER, WARNINGS])
        if code:
            return {}, []
        return marker_of(text), re.findall(r"^warning=(.*)", text, re.MULTILINE)

    async def _checked_encryption_password(self, password: str) -> str:
        context, dump = self._args.context, self._args.dump

        def is_kept(marker: Mapping[str, str]) -> bool:
            return context.settings.keep_data or marker.get("accepted_key", dump.key) == dump.key

        core, primary = context.naming.of("core-1"), context.naming.of("primary")
        try:
            await check_encryption_password(
                context.gates.watcher, password, core=core, primary=primary, marker_path=MARKER, is_kept=is_kept
            )
        except NotReady as error:
            raise pulumi.RunError(str(error)) from None
        return password

    def _primary(self) -> Service:
        args, dump, admin = self._args, self._args.dump, self._args.admin_passwords
        is_setting = admin.assigned is AdminPassword.SETTING
        secrets = {
            "app-password": args.app_password,
            "replication-password": args.replication_password,
            "encryption-password": self.encryption_password,
            # Also where the dump's own stays: the database may have it from a time when others could reach the stack.
            "admin-password": admin.value(AdminPassword.SETTING if is_setting else AdminPassword.GENERATED),
        }
        mounts = [Mount(volume=self._dump_cache, path="/dumps")] if self._dump_cache else []
        if args.backup is not None:
            secrets["backup-role-password"] = args.backup.role_password
            # At a path where every image has a folder open to all: a new volume takes its mode over.
            mounts.append(Mount(volume=args.backup.volume, path="/var/tmp", read_only=True))  # noqa: S108
        return self._server(
            "primary",
            "the primary database",
            environment={
                "DUMP_KEY": dump.key,
                "DUMP_NAME": dump.name,
                "DUMP_CONTAINER": args.context.naming.of("dump"),
                "KEEP_DATA": str(args.context.settings.keep_data).lower(),
                "ENCRYPTION_PASSWORD_FROM": "setting" if args.encryption_password.from_setting else "generator",
                "ADMIN_PASSWORD_FROM": _SOURCES[admin.assigned],
            },
            secrets=secrets,
            mounts=mounts,
            # What a preview shows when the database is going to be restored again.
            labels={DUMP: dump.name, **self._role_labels()},
            # After the cores are deleted: none writes to a database that is being replaced.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.core_replacement], hooks=self._handed_over()),
        )

    def _role_labels(self) -> dict[str, str]:
        roles = self._args.context.roles
        return {DUMP_KEY: self._args.dump.key, **roles.labels} if roles else {}

    def _handed_over(self) -> pulumi.ResourceHookBinding | None:
        """Return hooks that have a replica give its data over to the primary; None where that keeps its own."""
        context = self._args.context
        change = context.roles.change if context.roles else None
        if change is None:
            return None
        deployed = WaitTarget(context.naming.of("primary"), f"the primary database on {change.old_node}")
        hand_over = HandOver(change=change, primary=deployed, data=DATA, uid=UID)
        return context.gates.before_create_check("primary", hand_over.done)

    def _places_are_free(self) -> pulumi.Input[Sequence[pulumi.Resource]]:
        """Return what replicas depend on: the primary, once those have ended whose places others take."""
        context = self._args.context
        leaving = context.roles.leaving if context.roles else ()
        if not leaving:
            return [self.primary.resource]
        return context.gates.after(self.primary.resource, partial(stop_all, services=leaving))

    def _replica(self, number: int) -> Service:
        name = f"replica-{number}"
        hooks = self._args.context.gates.before_create(name, [self.primary.wait_target])
        return self._server(
            name,
            f"read replica {number}",
            number,
            environment={"REPLICA_NAME": name, "PRIMARY_HOST": self.primary.endpoint.host},
            secrets={"replication-password": self._args.replication_password},
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._places_are_free(), hooks=hooks),
            backends=[self.primary],
        )

    def _server(
        self,
        part: str,
        display_name: str,
        number: int = 1,
        *,
        environment: Mapping[str, pulumi.Input[str]],
        secrets: Mapping[str, pulumi.Input[str]],
        mounts: Iterable[Mount] = (),
        labels: Mapping[str, pulumi.Input[str]] | None = None,
        opts: pulumi.ResourceOptions,
        backends: Sequence[Service] = (),
    ) -> Service:
        """Register the container and the data volume of the primary or of a replica."""
        context = self._args.context
        role, _, _ = part.partition("-")
        memory_mb, endpoint = context.settings.database_memory_mb, Endpoint(f"postgres-{part}", PORT)
        conf = render("database/postgresql.conf.j2", **sizing.postgres(memory_mb))
        names, command = scripts_of(role), [f"{FILES}/database.sh", role]
        if context.roles is not None:
            names, command = [*names, ROLE_CHANGE], [f"{FILES}/{ROLE_CHANGE}", "start", role]
        scripts = ((script, render(f"database/{script}")) for script in names)
        spec = ContainerSpec(
            name=context.naming.of(part),
            image=context.images.database.id,
            uid=UID,
            memory_mb=memory_mb,
            hostname=part,
            labels={**context.naming.labels(f"postgres-{role}", number), **(labels or {})},
            networks=(NetworkAttachment(network=context.networks.data, aliases=(endpoint.host,)),),
            entrypoint=("/bin/bash", *command),
            environment=environment,
            files=(
                *(File(path=f"{FILES}/{script}", content=text, executable=True) for script, text in scripts),
                File(path=f"{FILES}/postgresql.conf", content=conf),
                File(path=f"{FILES}/pg_hba.conf", content=render("database/pg_hba.conf")),
                *(secret_file(name, secret) for name, secret in secrets.items()),
            ),
            mounts=(Mount(volume=context.orchestrator.volume(f"{part}-data", self), path=DATA), *mounts),
            tmpfs={RUN: 16, "/tmp": 64},  # noqa: S108
            shared_folder=RUN,
            shared_memory_mb=sizing.shared_memory_mb(memory_mb),
            healthcheck=("/bin/sh", f"{FILES}/health.sh", role),
            start_period_seconds=600,
            beside=render(f"database/{BESIDE}") if role == "primary" else "",
            stop_signal="SIGINT",
            stop_timeout_seconds=60,  # a fast shutdown writes a checkpoint
        )
        return context.orchestrator.service(part, spec, display_name, endpoint, opts, backends=backends)


def scripts_of(role: str) -> list[str]:
    """Return the names of the files in components/database/files that a `primary` or a `replica` runs."""
    if role == "replica":
        return list(REPLICA_SCRIPTS)
    scripts = file_names("database", ".sh", ".awk", ".sql")
    return [
        name for name in scripts if name not in (FETCH_SCRIPT, BESIDE, ROLE_CHANGE, "replica.sh", "standby-checks.sh")
    ]
