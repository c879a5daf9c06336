"""What `status` reports: collected from Docker Engine, the databases and the cache."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cli import databases
from cli.deployed import DeployedStack
from cli.parts import Inspected, NodeStatus, Part
from cli.rows import ROWS, Row
from components.naming import DUMP_CACHE_VOLUME
from components.orchestrator.container_paths import FILES
from components.orchestrator.container_state import START
from components.settings.model import Tls

CACHE_CLIENT = f"{FILES}/client.sh"  # in the cache's container
# Keys of DHIS2: `dhis2:leader` has the leader's uuid, from 2.41 on another key its node.id, before then a fixed one.
LEADER = """
get() { echo "GET $1" | client; }
uuid=$(get dhis2:leader)
id=$(get "dhis2:leader:$uuid")
echo "${id:-$(get dhis2:leaderNodeId)}"
"""
# In kB; programs that every image has. A large file store may take du longer than anyone waits.
DISK = 'timeout 30 du -sk "$0" 2>/dev/null; df -kP "$0"'
DU, DF = re.compile(r"\A(\d+)\s"), re.compile(r"\s(\d+)\s+\d+%\s+\S+\s*\Z")


@dataclass(frozen=True, kw_only=True)
class DatabaseStatus:
    """A database server. `lag_…`, `state` are a replica's; `read_sessions` are DHIS2's to its read replicas.

    `table_scans` are those of DHIS2's tables since the server's statistics began: what was read there.
    """

    standby: bool
    state: str | None
    lag_bytes: int | None
    lag_seconds: float | None
    sessions: int
    read_sessions: int
    last_read_seconds: float | None
    table_scans: int


@dataclass(frozen=True, kw_only=True)
class PartStatus:
    """A part: `healthy` is what the exit code follows, `reason` why it is not. Missing parts have no container.

    On a swarm it is a task of a service, which is its `container`, on a `node`.
    """

    part: str
    container: str
    node: str = ""
    healthy: bool
    health: str
    reason: str = ""
    started_at: str | None = None
    restarts: int = 0
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    version: str = ""
    leader: bool = False
    database: DatabaseStatus | None = None


@dataclass(frozen=True, kw_only=True)
class VolumeStatus:
    """A volume by its name without the stack's prefix; None is unknown, as where nothing runs that has it mounted.

    On a swarm each `node` has its own of a name.
    """

    volume: str
    node: str = ""
    used_bytes: int | None
    free_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class StackStatus:
    """A whole stack."""

    stack: str
    rows: list[Row]
    parts: list[PartStatus]
    volumes: list[VolumeStatus]
    nodes: list[NodeStatus] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """True where every row, node and part is healthy or, as the dump's container, has completed."""
        items = (*(row.healthy for row in self.rows), *(node.healthy for node in self.nodes))
        return all(items) and all(part.healthy for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        rows = {row.name.replace(" ", "_"): row.value for row in self.rows}
        nodes = {"nodes": [node.as_json() for node in self.nodes]} if self.nodes else {}
        parts, volumes = [asdict(part) for part in self.parts], [asdict(volume) for volume in self.volumes]
        for item in () if self.nodes else (*parts, *volumes):
            del item["node"]
        return {"healthy": self.healthy, "stack": self.stack, **rows, **nodes, "parts": parts, "volumes": volumes}


@dataclass
class Collector:
    """Collects the status of a stack. Disks and ROWS are read every `slow_seconds`, since that may take seconds."""

    containers: DeployedStack
    slow_seconds: float = 60
    _volumes: list[VolumeStatus] = field(default_factory=list, init=False)
    _rows: list[Row] = field(default_factory=list, init=False)
    _measured_at: float = field(default=float("-inf"), init=False)
    _answers: dict[str, dict[str, Any]] = field(default_factory=dict, init=False)  # of database servers
    _leader: str = field(default="", init=False)
    _asked_at: float = field(default=float("-inf"), init=False)

    def collect(self) -> StackStatus:
        """Return the status now. Raises CommandError where there is no such stack."""
        inspected = self.containers.inspected()
        running = [item for item in inspected if item.is_running]
        if time.monotonic() - self._measured_at >= self.slow_seconds:
            self._volumes = self._disks(inspected)
            self._rows = [
                row for _, row in self.containers.map(lambda row: row(self.containers, inspected), ROWS) if row
            ]
            self._measured_at = time.monotonic()
        if time.monotonic() - self._asked_at >= self.containers.question_seconds:
            self._answers, self._leader = self._databases(running), self._asked_leader(running)
            self._asked_at = time.monotonic()
        memory = self.containers.map(lambda item: self.containers.memory_bytes(item.part), running)
        used = {item.part.part: number for item, number in memory}
        parts = [self._part(item, used) for item in inspected]
        return StackStatus(
            stack=self.containers.target.stack,
            rows=self._rows,
            parts=[*parts, *self._missing({part.part for part in parts})],
            volumes=self._volumes,
            nodes=self.containers.nodes(inspected),
        )

    def _databases(self, running: Sequence[Inspected]) -> dict[str, dict[str, Any]]:
        """Return what the database servers report of themselves, by their parts; none where one does not answer."""
        servers = [item.part for item in running if item.part.group in ("primary", "replica")]
        answers = self.containers.map(lambda part: databases.query(self.containers, part), servers)
        return {part.part: answer for part, answer in answers if answer}

    def _part(self, item: Inspected, used: Mapping[str, int | None]) -> PartStatus:
        part, evaluation = item.part, item.evaluation
        answer = self._answers.get(part.part) if item.is_running else None
        completed = "completed" if item.is_one_shot else "healthy"
        health = evaluation.status or item.state
        # What `dhis2-cluster stop` has stopped starts in the order of `start`, and without a deployment.
        reason = evaluation.reason.replace(START, f"dhis2-cluster start -s {self.containers.target.stack}")
        return PartStatus(
            part=part.part,
            container=part.container,
            node=item.node,
            healthy=evaluation.ready,
            health=completed if evaluation.ready else health,
            reason="" if evaluation.ready else reason or item.health_output,
            started_at=item.started_at,
            restarts=item.restarts,
            memory_bytes=used.get(part.part),
            memory_limit_bytes=item.memory_limit_bytes,
            version=f"PostgreSQL {answer['version']}" if answer else self._version(item),
            leader=item.host_name == self._leader,
            database=_database(answer, self._answers.get("primary")) if answer else None,
        )

    def _version(self, item: Inspected) -> str:
        """Return what the image reports of itself, or else its name: `dhis2/core-dev:latest` is not enough."""
        config = item.configuration
        labels = config.get("Labels") or {}
        if labels.get("DHIS2_VERSION") and item.part.group == "core":
            revision = str(labels.get("DHIS2_BUILD_REVISION", ""))[:7]
            return f"DHIS2 {labels['DHIS2_VERSION']}" + (f" ({revision})" if revision else "")
        variables = dict(entry.split("=", 1) for entry in config.get("Env") or [] if "=" in entry)
        for name, program in {"NGINX_VERSION": "NGINX", "VALKEY_VERSION": "Valkey"}.items():
            if variables.get(name):
                return f"{program} {variables[name]}"
        return self.containers.image_tag(item.image)

    def _asked_leader(self, running: Sequence[Inspected]) -> str:
        """Return the core that runs the jobs, "" where the cache does not answer: DHIS2 has it there."""
        cache = next((item.part for item in running if item.part.part == "cache"), None)
        script = f"{self.containers.sourced(CACHE_CLIENT, 'cache')}{LEADER}"
        return self.containers.execute(cache, ["timeout", "5", "sh", "-c", script])[1].strip() if cache else ""

    def _missing(self, present: set[str]) -> list[PartStatus]:
        settings = self.containers.target.settings
        wanted = ["lb", *(f"core-{number}" for number in range(1, settings.cores + 1)), "cache", "primary"]
        wanted += [f"replica-{number}" for number in range(1, settings.replicas + 1)]
        wanted += ["certificates", *(["acme-web"] if settings.on_swarm else [])] if settings.tls is Tls.ACME else []
        wanted += [] if settings.backup_cron is None else ["backup"]
        reason = (
            f"has no {self.containers.object_name}; create it: pulumi up --refresh -s {self.containers.target.stack}"
        )
        return [
            PartStatus(part=part, container="", healthy=False, health="missing", reason=reason)
            for part in wanted
            if part not in present
        ]

    def _disks(self, inspected: Sequence[Inspected]) -> list[VolumeStatus]:
        where: dict[tuple[str, str], tuple[Part, str] | None] = {}
        prefix = f"{self.containers.target.prefix}-"
        mounted = [(item, volume, path) for item in inspected for volume, path in item.volumes.items()]
        # Who only reads a volume may not read all of it: the primary has no access to the repository of the backups.
        for item, volume, path in sorted(mounted, key=lambda mount: not mount[0].writes(mount[1])):
            if not volume.startswith((prefix, DUMP_CACHE_VOLUME)):
                continue  # a volume without a name, which an image asks for
            key = (volume, item.node)
            if item.is_running or key not in where:
                where[key] = where.get(key) or ((item.part, path) if item.is_running else None)
        measured = self.containers.map(self._disk, list(where.values()))
        return [
            VolumeStatus(volume=volume.removeprefix(prefix), node=node, used_bytes=used, free_bytes=free)
            for (volume, node), (_, (used, free)) in zip(where, measured, strict=True)
        ]

    def _disk(self, place: tuple[Part, str] | None) -> tuple[int | None, int | None]:
        if not place:
            return None, None
        _, output = self.containers.execute(place[0], ["sh", "-c", DISK, place[1]])
        used, free = DU.search(output), DF.search(output)
        return int(used[1]) * 1024 if used else None, int(free[1]) * 1024 if free else None


def _database(answer: Mapping[str, Any], primary: Mapping[str, Any] | None) -> DatabaseStatus:
    standby = bool(answer["standby"])
    # Asked one after the other, so the replica may be a moment ahead.
    lag = max(0, int(primary["lsn"]) - int(answer["lsn"] or 0)) if primary and standby else None
    return DatabaseStatus(
        standby=standby,
        state=(answer["state"] or "not connected") if standby else None,
        lag_bytes=lag,
        lag_seconds=answer["lag_seconds"],
        sessions=int(answer["sessions"]),
        read_sessions=int(answer["read_sessions"]),
        last_read_seconds=answer["last_read_seconds"],
        table_scans=int(answer["table_scans"]),
    )
