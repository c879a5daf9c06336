"""Backup: sets of database and files in a repository of restic, on a schedule and by `dhis2-cluster backup`."""

import asyncio
import time
from dataclasses import dataclass

import pulumi

from components.backup.sizing import MEMORY_MB, TOOLS_MEMORY_MB
from components.dhis2.release import Release
from components.file_store.file_store import FileStore
from components.orchestrator.container_paths import FILES
from components.orchestrator.container_spec import ContainerSpec, File, Mount, NetworkAttachment, secret_file
from components.orchestrator.container_state import Condition
from components.orchestrator.interface import Endpoint, Service
from components.orchestrator.watcher import NotReady, WaitTarget, Watcher
from components.settings.backup import longest_gap_seconds
from components.stack_context import StackContext
from components.templates.rendering import render

UID = 65534  # that of the cores, whose files it reads and restores
DATA = "/var/tmp"  # noqa: S108 - a folder everyone may write to: a new volume takes its mode over from the image
LOCAL_REPOSITORY = f"{DATA}/repository"
SCRIPTS = ("backup.sh", "create.sh", "unpack.sh", "health.sh", "ssh")
LATE_SECONDS = 2 * 3600  # how long a backup may take before the next is overdue
START_SECONDS = 75
HEALTH = ("/bin/bash", f"{FILES}/health.sh")
# Printed once: the record of a new repository is removed.
NEW_REPOSITORY = f"cd {DATA} && [ -f new-repository ] && rm new-repository && echo new"


@dataclass(frozen=True, kw_only=True)
class BackupArgs:
    """What the backups take. `volume` is that of the repository, `files` where DHIS2 keeps uploaded files and apps.

    `core` is what has created the volume of the files. `password` encrypts the repository, `role_password` is that of
    PostgreSQL's role for backups, `encryption_password` DHIS2's.
    """

    context: StackContext
    release: Release
    cron: str
    volume: pulumi.Output[str]
    files: FileStore
    primary: Service
    core: Service
    password: pulumi.Output[str]
    role_password: pulumi.Output[str]
    encryption_password: pulumi.Output[str]


class Backup(pulumi.ComponentResource):
    """The container that makes the backups, and the one-shot container that copies its tools from restic's image."""

    services: list[Service]

    def __init__(self, name: str, args: BackupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Register the volume of the tools and both containers."""
        super().__init__("dhis2-cluster:index:Backup", name, None, opts)
        self._args = args
        tools = args.context.orchestrator.volume("backup-tools", self, kept=False)
        copied = self._copy_tools(tools)
        opts = pulumi.ResourceOptions(
            parent=self, depends_on=copied.apply(lambda resources: [*resources, args.core.resource])
        )
        endpoint = Endpoint("backup", 0)
        service = args.context.orchestrator.service("backup", self._spec(tools), "the backup container", endpoint, opts)
        self.services = [service]
        self.register_outputs({"schedule": args.cron})

    async def until_ready(self, watcher: Watcher) -> None:
        """Warn of what is wrong with the backups, once the repository was tried to be opened: DHIS2 serves without."""
        target = self.services[0].wait_target
        deadline = time.monotonic() + START_SECONDS
        problem = ""
        while time.monotonic() < deadline:
            problem = await self._problem(watcher)
            if not problem.endswith("is being opened"):
                break
            await asyncio.sleep(0.5)
        if problem:
            pulumi.log.warn(f"backups: {problem}")
        if self._args.context.settings.backup_password is None and await self._is_new(watcher):
            pulumi.log.warn(
                f"{target.container} has made a new repository. Without its generated password no backup can be restored: keep a copy of it elsewhere, pulumi stack output backupPassword --show-secrets"
            )

    async def _problem(self, watcher: Watcher) -> str:
        target = self.services[0].wait_target
        try:
            code, output = await watcher.execute(target.container, HEALTH)
        except NotReady:
            return f"{target.container} does not run; see why: {watcher.log_command(target)}"
        return str(output).strip() if code else ""

    async def _is_new(self, watcher: Watcher) -> bool:
        name = self.services[0].wait_target.container
        try:
            _, output = await watcher.execute(name, ["/bin/sh", "-c", NEW_REPOSITORY])
        except NotReady:
            return False
        return str(output).strip() == "new"

    def _copy_tools(self, tools: pulumi.Output[str]) -> pulumi.Output[list[pulumi.Resource]]:
        context = self._args.context
        name = context.naming.of("backup-tools")
        spec = ContainerSpec(
            name=name,
            image=context.orchestrator.image("backup-image", context.settings.backup_image, self).id,
            uid=UID,
            memory_mb=TOOLS_MEMORY_MB,
            labels=context.naming.labels("backup-tools"),
            networks=(NetworkAttachment(network=context.networks.edge, aliases=("backup-tools",)),),
            entrypoint=("/bin/sh", f"{FILES}/tools.sh"),
            environment={"WITH_SSH": "true"} if context.settings.backup_on_sftp else {},
            files=(File(path=f"{FILES}/tools.sh", content=render("backup/tools.sh"), executable=True),),
            mounts=(Mount(volume=tools, path=DATA),),
            one_shot=True,
        )
        resource = context.orchestrator.container("backup-tools", spec, pulumi.ResourceOptions(parent=self))

        async def until_copied(watcher: Watcher) -> None:
            await watcher.restart_failed(name)
            completed = Condition.SERVICE_COMPLETED_SUCCESSFULLY
            await watcher.until_ready([WaitTarget(name, "the copy of the backup's tools", completed)])

        return context.gates.after(resource, until_copied).apply(list)

    def _spec(self, tools: pulumi.Output[str]) -> ContainerSpec:
        args, context, settings = self._args, self._args.context, self._args.context.settings
        name = context.naming.of("backup")
        networks = [NetworkAttachment(network=context.networks.data, aliases=("backup",))]
        if settings.backup_repository:
            networks.append(NetworkAttachment(network=context.networks.edge, aliases=("backup",)))
        texts = {f"{FILES}/{script}": render(f"backup/{script}") for script in SCRIPTS}
        texts[f"{FILES}/lib.sh"] = render("database/lib.sh")
        known_hosts = settings.backup_known_hosts
        return ContainerSpec(
            name=name,
            image=context.images.database.id,
            uid=UID,
            memory_mb=MEMORY_MB,
            hostname=name,  # restic's locks have it, and a repository may be shared
            labels=context.naming.labels("backup"),
            networks=tuple(networks),
            entrypoint=("/bin/bash", f"{FILES}/backup.sh", "serve"),
            environment={
                "STACK": context.naming.prefix,
                "PRIMARY_HOST": args.primary.endpoint.host,
                "SCHEDULE": args.cron,
                "KEEP": settings.backup_keep,
                "MAX_AGE_SECONDS": str(longest_gap_seconds(args.cron) + LATE_SECONDS if args.cron else 0),
                "DHIS2_VERSION": args.release.version,
                "DHIS2_IMAGE": args.release.image,
                # What is in a bucket is in no set.
                **({"BUCKET": args.files.bucket.name} if args.files.bucket else {}),
            },
            files=(
                *(File(path=path, content=text, executable=True) for path, text in texts.items()),
                *([File(path=f"{FILES}/known_hosts", content=known_hosts)] if known_hosts else []),
                *(secret_file(name, secret) for name, secret in self._secrets().items()),
            ),
            mounts=(
                Mount(volume=args.volume, path=DATA),
                *args.files.mounts("/files", is_core=False),
                Mount(volume=tools, path="/tools", read_only=True),
            ),
            tmpfs={"/tmp": 64},  # noqa: S108
            shared_folder="/tmp",  # noqa: S108 - whether the repository could be opened
            healthcheck=HEALTH,
            start_period_seconds=120,
            stop_timeout_seconds=10,
        )

    def _secrets(self) -> dict[str, pulumi.Input[str]]:
        args, settings = self._args, self._args.context.settings
        secrets: dict[str, pulumi.Input[str]] = {
            "backup-repository": pulumi.Output.secret(settings.backup_repository or LOCAL_REPOSITORY),
            "backup-password": args.password,
            "backup-role-password": args.role_password,
        }
        if settings.backup_encryption_password:
            secrets["encryption-password"] = args.encryption_password
        if settings.backup_access_key and settings.backup_secret_key:
            key, secret = settings.backup_access_key, settings.backup_secret_key.get_secret_value()
            credentials = f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
            secrets["s3-credentials"] = pulumi.Output.secret(credentials)
        if settings.backup_ssh_key:
            # ssh wants mode 0600 only of a key of its own user; the files are of root.
            secrets["ssh-key"] = pulumi.Output.secret(settings.backup_ssh_key)
        return secrets
