"""The sets of a stack's backups, and the backup container they are made and restored by."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cli.deployed import DeployedStack
from cli.errors import FAILED, CommandError
from cli.parts import Part
from components.orchestrator.container_paths import FILES
from components.orchestrator.container_state import FATAL

BACKUP = ("bash", f"{FILES}/backup.sh")
HEALTH = ("bash", f"{FILES}/health.sh")
RECORDS = ("sh", "-c", "cd /var/tmp; cat last-backup; sed s/^/checked_at=/ last-check; sed s/^/failed_/ last-failure")
ID_LENGTH = 8
SECRET_TAG, ALL_TAG = "encryption-password", "all"
LATEST = "latest"


@dataclass(frozen=True, kw_only=True)
class BackupSet:
    """One set: a snapshot of restic. `time` is ISO 8601 in UTC, `stack` the prefix of the stack's names.

    `complete` sets have the rows of analytics tables, too; `secret` ones have DHIS2's encryption.password. Those with a
    `bucket` have no uploaded files and apps: these were in it.
    """

    set: str
    time: str
    stack: str
    version: str
    image: str
    postgresql: str
    fingerprint: str
    complete: bool
    secret: bool
    bucket: str

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def backup_part(containers: DeployedStack) -> Part:
    """Return the running backup container. Raises CommandError with the command that turns backups on."""
    stack = containers.target.stack
    if not any(part.part == "backup" for part in containers.parts()):
        raise CommandError(
            f"stack {stack} has no backup container (backupSchedule is off). Turn backups on: pulumi config set backupSchedule '0 2 * * *' -s {stack} && pulumi up -s {stack}"
        )
    return containers.running("backup")


def bucket_of(containers: DeployedStack) -> str:
    """Return the bucket that the files of a stack with backups are in; empty where they are in a volume."""
    return containers.environment(backup_part(containers)).get("BUCKET", "")


def sets_of(containers: DeployedStack) -> list[BackupSet]:
    """Return all sets in the repository of a stack, the newest last. Raises CommandError where it cannot be read."""
    code, output = containers.execute(backup_part(containers), [*BACKUP, "list"])
    listed = next((line for line in output.splitlines() if line.startswith("[") or line == "null"), None)
    if code or listed is None:
        raise CommandError(
            f"the backups of stack {containers.target.stack} cannot be listed: {fatal_of(output)}", FAILED
        )
    return sorted(map(_set, json.loads(listed) or []), key=lambda item: item.time)


def choose(sets: Sequence[BackupSet], requested: str, containers: DeployedStack) -> BackupSet:
    """Return the set of an id, or the stack's latest. Raises CommandError when there is none."""
    target = containers.target
    if requested == LATEST:
        own = [item for item in sets if item.stack == target.prefix]
        if own:
            return own[-1]
        others = sorted({item.stack for item in sets})
        more = (
            f", but of {', '.join(others)}; name one of those by its id, see: dhis2-cluster backups -s {target.stack}"
        )
        raise CommandError(f"the repository has no backup of stack {target.stack}{more if others else ''}")
    matching = [item for item in sets if item.set.startswith(requested) and requested]
    if len(matching) != 1:
        raise CommandError(
            f"there is no backup {requested}. Those of the repository: dhis2-cluster backups -s {target.stack}"
        )
    return matching[0]


def records(output: str) -> dict[str, object]:
    """Return what the backup container has recorded: times in epoch seconds, None where there is none."""
    values = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)

    def moment(name: str) -> int | None:
        return int(values[name]) if values.get(name, "").isdigit() else None

    return {
        "at": moment("at"),
        "set": values.get("set"),
        "checked_at": moment("checked_at"),
        "failed_at": moment("failed_at"),
        "failure": values.get("failed_reason"),
    }


def fatal_of(output: str) -> str:
    """Return why a script has failed: its `fatal: ` line, or its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    reasons = [line.removeprefix(FATAL) for line in lines if line.startswith(FATAL)]
    return (reasons or lines or ["no reason was printed"])[-1]


def _set(snapshot: Mapping[str, Any]) -> BackupSet:
    tags = dict(tag.partition("=")[::2] for tag in snapshot.get("tags") or [])
    return BackupSet(
        set=str(snapshot["id"])[:ID_LENGTH],
        time=f"{str(snapshot['time'])[:19]}Z",
        stack=str(snapshot.get("hostname", "")),
        version=tags.get("version", ""),
        image=tags.get("image", ""),
        postgresql=tags.get("postgresql", ""),
        fingerprint=tags.get("fingerprint", ""),
        complete=ALL_TAG in tags,
        secret=SECRET_TAG in tags,
        bucket=tags.get("bucket", ""),
    )
