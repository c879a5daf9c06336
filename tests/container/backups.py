"""A backup container beside a primary: started as the program starts it."""

import json
from dataclasses import dataclass, field
from typing import Any

from docker.models.containers import Container

from components.backup.backup import DATA, LOCAL_REPOSITORY, SCRIPTS, UID
from components.orchestrator.container_paths import FILES, SECRETS
from components.templates.rendering import render
from tests.container.databases import BACKUP_PASSWORD, Databases
from tests.support.commands import execute, shell
from tests.support.containers import Containers
from tests.support.project import POSTGRES, RESTIC
from tests.support.waiting import until, until_exited

PASSWORD = "repository password"  # noqa: S105
STACK = "dhis2-cluster-test"


@dataclass
class Backups:
    """The volumes of a backup container: its own, that of the tools and that of the files."""

    containers: Containers
    databases: Databases
    encryption: str = ""
    with_ssh: bool = False
    data: str = field(init=False)
    tools: str = field(init=False)
    files: str = field(init=False)

    def __post_init__(self) -> None:
        """Create the volumes, copy the tools, and give the files their owner."""
        self.data, self.tools = self.containers.volume("backup"), self.containers.volume("backup-tools")
        self.files = self.containers.volume("files")
        copy = self.containers.start(
            RESTIC,
            entrypoint=["/bin/sh", f"{FILES}/tools.sh"],
            files={f"{FILES}/tools.sh": render("backup/tools.sh")},
            user=f"{UID}:{UID}",
            environment={"WITH_SSH": "true"} if self.with_ssh else {},
            volumes={self.tools: {"bind": DATA, "mode": "rw"}},
        )
        log = until_exited(copy)
        assert copy.wait()["StatusCode"] == 0, log
        mounted = {self.files: {"bind": "/var/tmp", "mode": "rw"}}  # noqa: S108 - in the container
        self.containers.remove(self.containers.start(POSTGRES, "true", volumes=mounted))

    def start(
        self,
        schedule: str = "",
        *,
        repository: str = "",
        password: str = PASSWORD,
        max_age: int = 90_000,
        known_hosts: str = "",
        **extra: str,
    ) -> Container:
        """Start the backup container; `extra` are further secrets by file name."""
        texts: dict[str, str | bytes] = {f"{FILES}/{name}": render(f"backup/{name}") for name in SCRIPTS}
        texts[f"{FILES}/lib.sh"] = render("database/lib.sh")
        if known_hosts:
            texts[f"{FILES}/known_hosts"] = known_hosts
        secrets = {
            "backup-repository": repository or LOCAL_REPOSITORY,
            "backup-password": password,
            "backup-role-password": BACKUP_PASSWORD,
            **({"encryption-password": self.encryption} if self.encryption else {}),
            **{name.replace("_", "-"): value for name, value in extra.items()},
        }
        container = self.containers.start(
            POSTGRES,
            entrypoint=["/bin/bash", f"{FILES}/backup.sh", "serve"],
            files=texts | {f"{SECRETS}/{name}": value for name, value in secrets.items()},
            alias="backup",
            network=self.databases.network,
            user=f"{UID}:{UID}",
            environment={
                "STACK": STACK,
                "PRIMARY_HOST": "postgres-primary",
                "SCHEDULE": schedule,
                "KEEP": "daily=7 weekly=4 monthly=12",
                "MAX_AGE_SECONDS": str(max_age),
                "DHIS2_VERSION": "2.43.1",
                "DHIS2_IMAGE": "dhis2/core:2.43.1",
            },
            volumes={
                self.data: {"bind": DATA, "mode": "rw"},
                self.files: {"bind": "/files", "mode": "rw"},
                self.tools: {"bind": "/tools", "mode": "ro"},
            },
            tmpfs={"/tmp": f"size=64m,mode=1770,uid={UID},gid={UID}"},  # noqa: S108
            mem_limit="512m",
        )
        until(lambda: "is being opened" not in health(container)[1], "the repository to be opened", container=container)
        return container


def create(container: Container, *options: str) -> str:
    """Return the id of a set that must be made."""
    code, output = attempt(container, "create", *options)
    assert code == 0, output
    return str(sets(container)[-1]["short_id"])


def attempt(container: Container, *command: str) -> tuple[int, str]:
    """Return exit code and output of a command of backup.sh."""
    return execute(container, "bash", f"{FILES}/backup.sh", *command)


def sets(container: Container) -> list[dict[str, Any]]:
    """Return the sets, the newest last."""
    code, output = attempt(container, "list")
    assert code == 0, output
    return list(json.loads(output) or [])


def health(container: Container) -> tuple[int, str]:
    """Return exit code and output of the healthcheck."""
    return shell(container, f"exec bash {FILES}/health.sh")
