"""The dump cache of a Docker Engine: fetched dumps, and copies of the databases that were restored from them."""

import re
from dataclasses import dataclass, field
from typing import Any

from docker.models.containers import Container

from components.database.database_pair import DATA
from components.database.dump_fetch import CACHE_PATH, CACHE_SCRIPT, FETCH_SCRIPT
from components.orchestrator.container_paths import FILES
from components.templates.rendering import render
from tests.container.databases import Databases, until_healthy
from tests.container.dump_kinds import text
from tests.support.archive import packed
from tests.support.commands import logs, shell_output
from tests.support.containers import Containers
from tests.support.project import NGINX
from tests.support.waiting import until, until_exited

SIZE_MB = 2048
ROW = "SELECT t FROM a"  # the name of the dump
STARTED = "starting from the copy of an earlier restore"
KEPT = "keeping a copy in the dump cache"
NOT_KEPT = "no copy of the restored database is kept: "
ENDED = re.compile(f"the copy is complete|{NOT_KEPT}")


def dump_of(name: str) -> bytes:
    """Return a dump with one table that has one row, the name, and with something that is left out."""
    rows = f"CREATE TABLE public.a (t text);\nCOPY public.a (t) FROM stdin;\n{name}\n\\.\n"
    return text(rows, "SECURITY LABEL FOR selinux ON TABLE public.a IS 'x';\n")


@dataclass
class DumpCache:
    """A dump cache, the one-shot containers that fetch into it, and databases that are restored from it."""

    containers: Containers
    volume: str = ""
    databases: Databases = field(init=False)
    reader: Container = field(init=False)
    primaries: list[Container] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Create the volume, with the mode that it takes over from the NGINX image, and a reader."""
        self.volume = self.volume or self.containers.volume("dumps")
        self.databases = Databases(self.containers, self.volume)
        mounts = {self.volume: {"bind": CACHE_PATH, "mode": "rw"}}
        self.reader = self.containers.start(NGINX, entrypoint=["sleep", "900"], user="999:999", volumes=mounts)

    def fetch(self, name: str, mb: int = SIZE_MB) -> Container:
        """Start the one-shot container with the dump of a name; `mb` is dumpCacheSize."""
        key = key_of(name)
        scripts = {f"{FILES}/{script}": render(f"database/{script}") for script in (FETCH_SCRIPT, CACHE_SCRIPT)}
        container = self.containers.create(
            NGINX,
            entrypoint=["/bin/sh", f"{FILES}/{FETCH_SCRIPT}"],
            files={**scripts},
            user="101:101",
            environment={"DUMP_KEY": key, "DUMP_NAME": name, "DUMP_SOURCE": "file", "DUMP_CACHE_MB": str(mb)},
            volumes={self.volume: {"bind": CACHE_PATH, "mode": "rw"}},
            mem_limit="128m",
        )
        delivered: dict[str, str | bytes] = {f"{key}.incoming": dump_of(name), f"{key}.delivered": b""}
        container.put_archive(CACHE_PATH, packed(delivered, uid=101))
        container.start()
        return container

    def fetched(self, name: str, mb: int = SIZE_MB) -> None:
        """Fetch a dump and wait for it."""
        container = self.fetch(name, mb)
        log = until_exited(container)
        assert container.wait()["StatusCode"] == 0, log

    def restored(self, name: str, mb: int = SIZE_MB, volume: str = "", **options: Any) -> Container:  # noqa: ANN401 - those of databases
        """Fetch a dump, and return a healthy primary that is restored from it."""
        self.fetched(name, mb)
        primary = self.primary(name, volume, **options)
        until_healthy(primary, "primary")
        until(lambda: KEPT not in logs(primary) or ENDED.search(logs(primary)), "the copy", container=primary)
        return primary

    def primary(self, name: str, volume: str = "", **options: Any) -> Container:  # noqa: ANN401 - those of databases
        """Start a primary that is restored from a fetched dump."""
        self.primaries.append(self.databases.primary(volume or self.containers.volume(), key_of(name), **options))
        return self.primaries[-1]

    def remove_primaries(self) -> None:
        """Remove all primaries; the copies stay."""
        while self.primaries:
            self.containers.remove(self.primaries.pop())

    def run(self, command: str) -> str:
        """Return the output of a shell command in the folder of the copies, as a primary's user."""
        return shell_output(self.reader, f"cd {CACHE_PATH}/copies && {command}")

    def copies(self) -> set[str]:
        """Return the names of the complete copies."""
        return {name for name in self._names() if len(name) == 64}

    def unfinished(self) -> set[str]:
        """Return the names of what a kill has left."""
        return {name for name in self._names() if name.endswith((".part", ".removed"))}

    def _names(self) -> list[str]:
        return shell_output(self.reader, f"ls {CACHE_PATH}/copies 2>/dev/null || true").split()


def key_of(name: str) -> str:
    """Return the key of the dump of a name."""
    return name.encode().hex().ljust(64, "0")


def marker(primary: Container) -> str:
    """Return the marker of a primary's restore."""
    return shell_output(primary, f"cat {DATA}/restored")
