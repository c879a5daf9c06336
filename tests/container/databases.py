"""Database containers: started as the program starts them, and waited for."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from docker.models.containers import Container
from docker.models.networks import Network

from components.backup.backup import DATA as BACKUP_DATA
from components.database import sizing
from components.database.database_pair import DATA, UID, scripts_of
from components.database.role_change import SCRIPT as ROLE_CHANGE
from components.orchestrator.container_paths import FILES, SECRETS
from components.templates.rendering import render
from offline.dump.__main__ import main as generate_dump
from tests.support.commands import shell
from tests.support.containers import Containers
from tests.support.project import POSTGRES
from tests.support.waiting import COMMAND_POLL_SECONDS, until

MEMORY_MB = 512
APP_PASSWORD = "app:pass\\word'1"  # noqa: S105 - with what a passfile, SQL and a shell must escape
REPLICATION_PASSWORD = "repl:pass\\word'2"  # noqa: S105
BACKUP_PASSWORD = "back:pass\\word'4"  # noqa: S105
ADMIN_PASSWORD = "Admin'pass\\3"  # noqa: S105
KEY = "5eed" * 16
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Databases:
    """A primary and its replicas on an internal network, as components/database describes them.

    `dumps` is the volume of the dump cache, `conf_lines` are appended to postgresql.conf. With `roles_change` they
    start as on a swarm.
    """

    containers: Containers
    dumps: str
    conf_lines: str = ""
    roles_change: bool = False
    network: Network = field(init=False)

    def __post_init__(self) -> None:
        """Create the network."""
        self.network = self.containers.add_network(internal=True)

    def conf(self) -> str:
        """Return the rendered postgresql.conf with the lines of the test."""
        return render("database/postgresql.conf.j2", **sizing.postgres(MEMORY_MB)) + self.conf_lines

    def files(self, role: str) -> dict[str, str | bytes]:
        """Return the files of a `primary` or `replica`."""
        texts: dict[str, str | bytes] = {f"{FILES}/{name}": render(f"database/{name}") for name in scripts_of(role)}
        if self.roles_change:
            texts[f"{FILES}/{ROLE_CHANGE}"] = render(f"database/{ROLE_CHANGE}")
        return texts | {
            f"{FILES}/postgresql.conf": self.conf(),
            f"{FILES}/pg_hba.conf": render("database/pg_hba.conf"),
            f"{SECRETS}/replication-password": REPLICATION_PASSWORD,
        }

    def primary(
        self,
        volume: str,
        key: str = "none",
        *,
        keep: bool = False,
        admin: str = "",
        encryption: str = "",
        from_setting: bool = True,
        commands: Mapping[str, str] | None = None,
        backups: str = "",
        start: bool = True,
    ) -> Container:
        """Start a primary that is restored from the dump `key`; `keep` is keepData, `admin` is ADMIN_PASSWORD_FROM.

        `encryption` is DHIS2's encryption.password, `from_setting` or generated. `commands` are scripts that run in the
        place of the image's commands of that name. `backups` is the volume of the backups.
        """
        files = self.files("primary") | {f"{SECRETS}/app-password": APP_PASSWORD}
        files[f"{SECRETS}/admin-password"] = ADMIN_PASSWORD
        environment = {
            "ADMIN_PASSWORD_FROM": admin or "dump",
            "DUMP_KEY": key,
            "DUMP_NAME": f"dump-{key[:6]}",
            "KEEP_DATA": str(keep).lower(),
        }
        environment["DUMP_CONTAINER"] = "some-dump"
        if commands:
            files |= {f"/commands/{name}": script for name, script in commands.items()}
            environment["PATH"] = f"/commands:{PATH}"
        if encryption:
            files[f"{SECRETS}/encryption-password"] = encryption
            environment["ENCRYPTION_PASSWORD_FROM"] = "setting" if from_setting else "generator"
        volumes = {volume: {"bind": DATA, "mode": "rw"}, self.dumps: {"bind": "/dumps", "mode": "rw"}}
        if backups:
            files[f"{SECRETS}/backup-role-password"] = BACKUP_PASSWORD
            volumes[backups] = {"bind": BACKUP_DATA, "mode": "ro"}
        return self._server("primary", "postgres-primary", volumes, files, environment, start=start)

    def replica(self, volume: str, name: str = "replica-1", *, start: bool = True) -> Container:
        """Start a replica."""
        environment = {"REPLICA_NAME": name, "PRIMARY_HOST": "postgres-primary"}
        volumes = {volume: {"bind": DATA, "mode": "rw"}}
        return self._server("replica", f"postgres-{name}", volumes, self.files("replica"), environment, start=start)

    def _server(
        self,
        role: str,
        alias: str,
        volumes: dict[str, dict[str, str]],
        files: Mapping[str, str | bytes],
        environment: dict[str, str],
        *,
        start: bool,
    ) -> Container:
        tmpfs = f"mode=1770,uid={UID},gid={UID}"
        create = self.containers.start if start else self.containers.create
        command = [f"{FILES}/{ROLE_CHANGE}", "start", role] if self.roles_change else [f"{FILES}/database.sh", role]
        return create(
            POSTGRES,
            entrypoint=["/bin/bash", *command],
            files=files,
            alias=alias,
            network=self.network,
            user=f"{UID}:{UID}",
            environment=environment,
            volumes=volumes,
            tmpfs={"/var/run/postgresql": f"size=16m,{tmpfs}", "/tmp": f"size=64m,{tmpfs}"},  # noqa: S108
            mem_limit=f"{MEMORY_MB}m",
            shm_size=f"{sizing.shared_memory_mb(MEMORY_MB)}m",
        )

    def add_dump(self, content: bytes, key: str, total: str = "", unpacked_bytes: int = 0) -> None:
        """Put a dump into the dump cache as fetch-dump.sh leaves it; `total` is a checksum that does not match."""
        total = total or hashlib.sha256(content).hexdigest()
        sizes = f"{total} {len(content)} {unpacked_bytes or len(content)}\n"
        files: dict[str, str | bytes] = {f"/dumps/{key}": content, f"/dumps/{key}.sha256": sizes}
        volumes = {self.dumps: {"bind": "/dumps", "mode": "rw"}}
        carrier = self.containers.create(POSTGRES, "true", files=files, network=self.network, volumes=volumes)
        self.containers.remove(carrier)


def dump(folder: Path, *options: str, name: str = "dump.sql.gz") -> bytes:
    """Return a generated sample dump with few rows."""
    out = folder / name
    generate_dump(["--rows", "2000", "--scale", "0.02", *options, str(out)])
    return out.read_bytes()


def health(container: Container, role: str) -> tuple[int, str]:
    """Return exit code and output of the healthcheck of a `primary` or `replica`."""
    return shell(container, f"exec /bin/sh {FILES}/health.sh {role}")


def until_healthy(container: Container, role: str) -> None:
    """Wait until the healthcheck of a `primary` or `replica` succeeds."""
    until(
        lambda: health(container, role)[0] == 0,
        f"the {role} to be healthy",
        container=container,
        pause=COMMAND_POLL_SECONDS,
    )
