"""What the tests of the database containers share: starting them as the program does, asking them, waiting."""

import hashlib
import io
import tarfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import docker
import pytest
from docker.errors import APIError
from docker.models.containers import Container

from components.database import sizing
from components.database.database_pair import scripts_of
from components.templates.rendering import render
from offline.dump.__main__ import main as generate_dump

POSTGRES, NGINX = "dhis2-cluster/postgres:17", "dhis2-cluster/nginx:1.31"
FILES, SECRETS = "/opt/dhis2-cluster", "/opt/dhis2-cluster/secrets"
MEMORY_MB = 512
WAIT_SECONDS = 90
APP_PASSWORD = "app:pass\\word'1"  # noqa: S105 - with what a passfile, SQL and a shell must escape
REPLICATION_PASSWORD = "repl:pass\\word'2"  # noqa: S105
ADMIN_PASSWORD = "Admin'pass\\3"  # noqa: S105
KEY = "5eed" * 16


@dataclass
class Engine:
    """Starts containers as hardened as the program's, and removes whatever it made."""

    client: docker.DockerClient = field(default_factory=docker.from_env)
    prefix: str = field(default_factory=lambda: f"dbtest-{uuid.uuid4().hex[:8]}")
    containers: list[Container] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)

    def volume(self, name: str, **options: str) -> str:
        """Make a volume, with options of the engine's local driver; returns its full name."""
        full = f"{self.prefix}-{name}"
        self.client.volumes.create(full, driver_opts=options or None)
        self.volumes.append(full)
        return full

    def network(self, name: str = "data") -> str:
        """Make an internal network; returns its full name."""
        full = f"{self.prefix}-{name}"
        if full not in self.networks:
            self.client.networks.create(full, internal=True)
            self.networks.append(full)
        return full

    def run(
        self,
        image: str,
        command: list[str],
        files: Mapping[str, str | bytes],
        *,
        alias: str = "",
        start: bool = True,
        **options: object,
    ) -> Container:
        """Create a container, put files into it and start it."""
        if not self.client.images.list(image):
            pytest.skip(f"{image} is not on this engine; make it: python -m offline.images")
        network = self.network()
        container: Container = self.client.containers.create(
            image,
            entrypoint=command,
            network=network,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            init=True,
            **options,  # type: ignore[arg-type]
        )
        self.containers.append(container)
        if alias:
            joined = self.client.networks.get(network)
            joined.disconnect(container)
            joined.connect(container, aliases=[alias])
        container.put_archive("/", packed(files))
        if start:
            container.start()
        return container

    def replace(self, container: Container) -> None:
        """Remove a container at once, as before its successor is made."""
        container.remove(force=True, v=True)
        self.containers.remove(container)

    def clear(self) -> None:
        """Remove everything."""
        for container in self.containers:
            container.remove(force=True, v=True)
        for volume in self.volumes:
            self.client.volumes.get(volume).remove(force=True)
        for network in self.networks:
            self.client.networks.get(network).remove()


@dataclass
class Databases:
    """A primary and its replicas on one network, as `components/database.py` describes them."""

    engine: Engine
    dumps: str
    conf_lines: str = ""

    def conf(self) -> str:
        """The rendered configuration, with the lines a test adds."""
        return render("database/postgresql.conf.j2", **sizing.postgres(MEMORY_MB)) + self.conf_lines

    def files(self, role: str) -> dict[str, str | bytes]:
        """The files a role has."""
        texts: dict[str, str | bytes] = {f"{FILES}/{name}": render(f"database/{name}") for name in scripts_of(role)}
        return texts | {
            f"{FILES}/postgresql.conf": self.conf(),
            f"{FILES}/pg_hba.conf": render("database/pg_hba.conf"),
            f"{SECRETS}/replication-password": REPLICATION_PASSWORD,
        }

    def primary(
        self, volume: str, key: str = "none", *, keep: bool = False, admin: bool = False, start: bool = True
    ) -> Container:
        """Start a primary that is to be loaded from the dump `key`."""
        files = self.files("primary") | {f"{SECRETS}/app-password": APP_PASSWORD}
        if admin:
            files[f"{SECRETS}/admin-password"] = ADMIN_PASSWORD
        environment = {"DUMP_KEY": key, "DUMP_NAME": f"dump-{key[:6]}", "KEEP_DATA": str(keep).lower()}
        environment["DUMP_CONTAINER"] = "some-dump"
        mounts = {self.dumps: {"bind": "/dumps", "mode": "ro"}}
        return self._server(
            "primary",
            alias="postgres-primary",
            volume=volume,
            files=files,
            environment=environment,
            mounts=mounts,
            start=start,
        )

    def replica(self, volume: str, name: str = "replica-1", *, start: bool = True) -> Container:
        """Start a replica."""
        environment = {"REPLICA_NAME": name, "PRIMARY_HOST": "postgres-primary"}
        return self._server(
            "replica",
            alias=f"postgres-{name}",
            volume=volume,
            files=self.files("replica"),
            environment=environment,
            start=start,
        )

    def _server(
        self,
        role: str,
        *,
        alias: str,
        volume: str,
        files: Mapping[str, str | bytes],
        environment: dict[str, str],
        mounts: dict[str, dict[str, str]] | None = None,
        start: bool,
    ) -> Container:
        scratch = "size=64m,mode=1770,uid=999,gid=999"
        return self.engine.run(
            POSTGRES,
            ["/bin/sh", f"{FILES}/database.sh", role],
            files,
            alias=alias,
            start=start,
            user="999:999",
            environment=environment,
            volumes={volume: {"bind": "/var/lib/postgresql", "mode": "rw"}, **(mounts or {})},
            tmpfs={"/var/run/postgresql": scratch, "/tmp": scratch},  # noqa: S108
            mem_limit=f"{MEMORY_MB}m",
            shm_size=f"{sizing.shared_memory_mb(MEMORY_MB)}m",
        )

    def add_dump(self, content: bytes, key: str, total: str = "") -> None:
        """Put a dump into the cache as fetch-dump.sh leaves it; `total`: a sum it has not."""
        total = total or hashlib.sha256(content).hexdigest()
        files: dict[str, str | bytes] = {f"/dumps/{key}": content, f"/dumps/{key}.sha256": f"{total} {len(content)}\n"}
        carrier = self.engine.client.containers.create(  # type: ignore[call-arg]
            POSTGRES, "true", volumes={self.dumps: {"bind": "/dumps", "mode": "rw"}}
        )
        try:
            carrier.put_archive("/", packed(files))
        finally:
            carrier.remove(v=True)


def packed(files: Mapping[str, str | bytes], uid: int = 0) -> bytes:
    """A tar of one user's files, readable by all."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(data), 0o555 if path.endswith(".sh") else 0o444
            entry.uid = entry.gid = uid
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def dump(folder: Path, *options: str, name: str = "dump.sql.gz") -> bytes:
    """A generated sample dump with few rows."""
    out = folder / name
    generate_dump(["--rows", "2000", "--scale", "0.02", *options, str(out)])
    return out.read_bytes()


def logs(container: Container) -> str:
    """Everything a container has logged."""
    return bytes(container.logs()).decode(errors="replace")


def until(what: str, container: Container, condition: Callable[[], bool], *, ended: bool = False) -> None:
    """Wait for a condition; fails at once when the container ends (unless that is waited for)."""
    limit = time.monotonic() + WAIT_SECONDS
    while not condition():
        container.reload()
        over = container.status == "exited" and not ended
        assert not over, f"{what}: the container ended: {logs(container)[-3000:]}"
        assert time.monotonic() < limit, f"{what} did not happen: {logs(container)[-3000:]}"
        time.sleep(0.1)


def until_logged(container: Container, text: str, after: int = 0) -> None:
    """Wait for a text in the log, behind its first `after` characters."""
    until(f"'{text}' in the log", container, lambda: text in logs(container)[after:])


def health(container: Container, role: str) -> tuple[int, str]:
    """What the health check says now."""
    return shell(container, f"exec /bin/sh {FILES}/health.sh {role}")


def until_healthy(container: Container, role: str) -> None:
    """Wait until the health check is content."""
    until(f"{role} healthy", container, lambda: health(container, role)[0] == 0)


def ended(container: Container) -> str:
    """Wait for a container to end; its log."""

    def over() -> bool:
        container.reload()
        return bool(container.status == "exited")

    until("the end", container, over, ended=True)
    return logs(container)


def sql(container: Container, statement: str, database: str = "dhis") -> str:
    """One statement as superuser over the unix socket."""
    command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", statement]
    code, output = container.exec_run(command)
    assert code == 0, f"{statement}: {bytes(output).decode()}"
    return bytes(output).decode().strip()


def shell(container: Container, command: str) -> tuple[int, str]:
    """A shell command in the container: exit code (-1 when the container is not running) and output."""
    try:
        code, output = container.exec_run(["sh", "-c", command])
    except APIError as error:
        return -1, str(error.explanation)  # it is not running, as whoever waits will find
    return int(code), bytes(output).decode().strip()
