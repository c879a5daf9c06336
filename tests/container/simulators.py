"""Simulators on a network of their own, with database, replica and cache, and how to ask them things."""

import io
import json
import re
import tarfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import docker
import pytest
from docker.models.containers import Container

POSTGRES, VALKEY, SIMULATOR = "dhis2-cluster/postgres:17", "dhis2-cluster/valkey:8", "dhis2-cluster/dhis2-simulator"
READY_SECONDS = 90
# Compiled lightly and collected by one thread: several boot at once, and none runs for long.
JAVA_OPTIONS = "-XX:MaxRAMPercentage=70 -XX:+ExitOnOutOfMemoryError -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
PRIMARY = (
    "initdb -A trust >/dev/null && echo 'host all,replication all all trust' >> $PGDATA/pg_hba.conf"
    " && exec postgres -c listen_addresses='*' -c wal_keep_size=1GB -c fsync=off"
)
REPLICA = (
    "until pg_basebackup -c fast -R -h postgres-primary -U postgres -D $PGDATA; do sleep 0.2; done"
    " && chmod 700 $PGDATA && exec postgres -c listen_addresses='*'"
)


@dataclass
class Surroundings:
    """A network with whatever was started in it; everything goes when it ends."""

    engine: docker.DockerClient
    started: list[Container] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.network = self.engine.networks.create(f"simulator-test-{uuid.uuid4().hex[:8]}", driver="bridge")

    def start(
        self, image: str, *command: str, alias: str, files: dict[str, str] | None = None, java: str = ""
    ) -> Container:
        """Start a container as hardened as the program's, with files in it, reachable as `alias`."""
        if not self.engine.images.list(image):
            pytest.skip(f"{image} is not on this engine; make it: python -m offline.images")
        container = self.engine.containers.create(
            image,
            list(command) or None,
            hostname=alias,
            init=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            mem_limit="768m",
            environment={"JAVA_TOOL_OPTIONS": f"{JAVA_OPTIONS} {java}"},
            detach=True,
        )
        self.started.append(container)
        for path, text in (files or {}).items():
            container.put_archive("/", packed(path, text))
        self.network.connect(container, aliases=[alias])
        container.start()
        return container

    def simulator(self, release: str, alias: str, database: str, *settings: str, java: str = "") -> "Core":
        """Start a simulator of a release on a database; `java`: further options of its JVM."""
        lines = [
            f"connection.url = jdbc:postgresql://postgres-primary/{database}",
            "connection.username = dhis",
            "connection.password = ${NOBODY:-unused}",
            "connection.pool.max_size = 5",
            "connection.pool.min_idle = 1",
            "node.id = ${HOSTNAME}",
            *settings,
        ]
        files = {"opt/dhis2/dhis.conf": "\n".join(lines)}
        return Core(self.start(f"{SIMULATOR}:{release}", alias=alias, files=files, java=java))

    def end(self) -> None:
        """Remove everything."""
        for container in self.started:
            container.remove(force=True, v=True)
        self.network.remove()


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; status 0 stands for none in time."""

    status: int
    head: str
    body: str

    @property
    def json(self) -> dict[str, object]:
        """The body as JSON."""
        return dict(json.loads(self.body))


@dataclass(frozen=True)
class Core:
    """A simulator, asked from inside its container."""

    container: Container

    def ask(self, path: str, *options: str, seconds: float = 20) -> Answer:
        """Send a request with curl."""
        command = ["curl", "-s", "-i", "-m", str(seconds), *options, f"http://127.0.0.1:8080{path}"]
        head, _, body = bytes(self.container.exec_run(command).output).decode().partition("\r\n\r\n")
        found = re.match(r"HTTP/1.1 (\d+)", head)
        return Answer(int(found[1]) if found else 0, head, body)

    def send(self, path: str, content: object, *options: str) -> Answer:
        """Send JSON."""
        return self.ask(path, *options, "-H", "Content-Type: application/json", "-d", json.dumps(content))

    def booted(self) -> "Core":
        """Wait until it answers; fails with its log where it does not."""
        self.wait(lambda answer: answer.status == 200)
        return self

    def failed(self) -> str:
        """Wait until Tomcat answers 404 to everything; returns the log."""
        self.wait(lambda answer: answer.status == 404)
        return self.log()

    def log(self) -> str:
        return bytes(self.container.logs()).decode()

    def wait(self, accept: Callable[[Answer], bool]) -> None:
        until = time.monotonic() + READY_SECONDS
        while not accept(self.ask("/api/ping", seconds=2)):
            assert time.monotonic() < until, "\n".join(self.log().splitlines()[-20:])
            time.sleep(0.2)


def packed(path: str, text: str) -> bytes:
    """Return a tar archive with one file and no folders, readable by all."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo(path)
        member.size, member.mode = len(text.encode()), 0o444
        archive.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()
