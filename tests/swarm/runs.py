"""One run: what it creates on the machine, all under one name, so that another process can remove all of it.

A run holds the lock of its index as long as its process lives; the kernel releases it however the process ends.
"""

import errno
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass, replace
from io import TextIOWrapper
from pathlib import Path
from typing import Self

from offline.images.machine import cache_folder
from tests.support.waiting import until
from tests.swarm import namespaces
from tests.swarm.commands import ip
from tests.swarm.locks import try_lock

PREFIX = "dhis2-swarm"
# A network device's name has at most 15 characters.
INDEXES = range(100)
CONTROL_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Run:
    """The run with this index: no other has it while its lock is held."""

    index: int
    held: TextIOWrapper | None = None

    @property
    def name(self) -> str:
        """What the names of all that a run creates begin with."""
        return f"{PREFIX}-{self.index}"

    @property
    def folder(self) -> Path:
        """Where its files are. Short: a socket's path has at most 107 characters."""
        return cache_folder("swarm") / f"run-{self.index}"

    def control_group(self, name: str) -> str:
        """Return the name of the control group of a node's containers."""
        return f"/{self.name}-{name}"

    def locked(self) -> Self | None:
        """Return this run with its lock; None while another process holds that."""
        held = try_lock(self.name)
        return replace(self, held=held) if held else None

    @classmethod
    def claim(cls) -> Self:
        """Return a run with an index that no other has, and remove what killed runs have left."""
        assert os.geteuid() == 0, "only root may create the namespaces of a swarm's nodes; run this as root"
        claimed: Self | None = None
        for run in map(cls, INDEXES):
            locked = run.locked() if claimed is None or run.leftovers() else None
            if locked is None:
                continue
            locked.remove()
            if claimed is None:
                claimed = locked
            else:
                locked.release()
        assert claimed, f"{len(INDEXES)} swarms run on this machine already"
        return claimed

    def release(self) -> None:
        """Let others have the index."""
        if self.held:
            self.held.close()

    def leftovers(self) -> list[str]:
        """Return what of this run is on the machine: folder, network namespaces, network device, control groups."""
        device = Path("/sys/class/net", self.name)
        return [
            *(str(path) for path in (self.folder, device) if path.exists()),
            *namespaces.named(f"{self.name}-*"),
            *map(str, self._control_groups()),
        ]

    def remove(self) -> None:
        """Kill every process of the run and remove all that it has created; nothing is an error that is not there."""
        there = namespaces.named(f"{self.name}-*")
        for namespace in there:  # all at once: no node is to notice that another has ended
            namespaces.kill(namespace)
        for namespace in there:
            namespaces.remove(namespace)
        if Path("/sys/class/net", self.name).exists():
            with suppress(subprocess.CalledProcessError):  # it disappears with the bridge's namespace
                ip("link", "delete", self.name)
        until(self._removed_control_groups, f"the control groups of {self.name} to be empty", seconds=60)
        until(self._removed_folder, f"nothing to be mounted in {self.folder}", seconds=60)

    def _control_groups(self) -> list[Path]:
        """Return the control groups of all nodes: in one hierarchy (version 2) or in each (version 1)."""
        return [path for pattern in ("", "*/") for path in CONTROL_GROUPS.glob(f"{pattern}{self.name}-*")]

    def _removed_control_groups(self) -> bool:
        for top in self._control_groups():
            for path in [*sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True), top]:
                with suppress(OSError):  # still in use; or gone, reached by another name of the hierarchy
                    path.rmdir()
        return not self._control_groups()

    def _removed_folder(self) -> bool:
        try:
            shutil.rmtree(self.folder)
        except FileNotFoundError:
            return not self.folder.exists()
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                raise
            return False  # the kernel has not yet unmounted all that the killed processes had mounted
        return True
