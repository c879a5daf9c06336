"""Simulators of DHIS2 among database, replica and cache."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from docker.models.containers import Container

from tests.support.commands import logs
from tests.support.containers import Containers
from tests.support.http import Answer, ask_inside
from tests.support.project import SIMULATOR
from tests.support.waiting import COMMAND_POLL_SECONDS, until

ANSWER_SECONDS = 20
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


@dataclass(frozen=True)
class Simulator:
    """A running simulator, asked from inside its container."""

    container: Container

    def ask(self, path: str, *options: str, seconds: float = ANSWER_SECONDS) -> Answer:
        """Send a request with options of curl."""
        return ask_inside(self.container, path, *options, seconds=seconds)

    def send(self, path: str, content: object, *options: str) -> Answer:
        """Send JSON."""
        return self.ask(path, *options, "-H", "Content-Type: application/json", "-d", json.dumps(content))

    def booted(self) -> "Simulator":
        """Wait until it responds."""
        self._wait(lambda answer: answer.status == 200, "the simulator to respond")
        return self

    def failed(self) -> str:
        """Wait until Tomcat responds with 404 to everything and return the log."""
        self._wait(lambda answer: answer.status == 404, "Tomcat to respond with 404")
        return self.log()

    def log(self) -> str:
        """Return everything it has logged."""
        return logs(self.container)

    def _wait(self, accept: Callable[[Answer], bool], what: str) -> None:
        until(
            lambda: accept(self.ask("/api/ping", seconds=2)),
            what,
            container=self.container,
            pause=COMMAND_POLL_SECONDS,
        )


def start_simulator(
    containers: Containers, release: str, alias: str, database: str, *settings: str, java: str = ""
) -> Simulator:
    """Start a simulator of a release on a database; `settings` are lines of dhis.conf, `java` options of its JVM."""
    lines = [
        f"connection.url = jdbc:postgresql://postgres-primary/{database}",
        "connection.username = dhis",
        "connection.password = ${UNSET:-unused}",
        "connection.pool.max_size = 5",
        "connection.pool.min_idle = 1",
        "node.id = ${HOSTNAME}",
        *settings,
    ]
    return Simulator(
        containers.start(
            f"{SIMULATOR.partition(':')[0]}:{release}",
            files={"/opt/dhis2/dhis.conf": "\n".join(lines)},
            alias=alias,
            hostname=alias,
            mem_limit="768m",
            environment={"JAVA_TOOL_OPTIONS": f"{JAVA_OPTIONS} {java}"},
        )
    )
