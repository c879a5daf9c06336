"""The steps of a restore: cores stop, the primary restores, replicas clone it, files are exchanged, cores start."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from cli.backups import BACKUP, FILES, BackupSet, backup_part, fatal_of
from cli.containers import Part, StackContainers
from cli.docker_command import follow, transfer
from cli.errors import FAILED, CommandError
from cli.output import progress
from cli.waiting import watcher_of
from components.orchestrator.readiness import NotReady

RESTORE_SET = ("bash", f"{FILES}/restore-set.sh")
MARKER = "/var/lib/postgresql/restored"
FLUSH = ("sh", "-c", f". {FILES}/client.sh && echo FLUSHALL | client")
UNPACKED = ("var/tmp/unpacked", "files/.unpacked")
OWN_PASSWORD = "/var/tmp/unpacked/encryption-password"  # noqa: S105, S108 - in the container
# A restore takes as long as the database is large; readyTimeout is about DHIS2.
WEEK_SECONDS = 7 * 86400


@dataclass
class Restore:
    """The restore of one set; `parts` is all, database or files."""

    source: StackContainers
    destination: StackContainers
    chosen: BackupSet
    parts: str

    def check(self) -> None:
        """Raise CommandError where the restore cannot work. Changes nothing."""
        backup_part(self.destination)
        self.destination.running("cache")
        if self.parts == "files":
            return
        self.destination.running("primary")
        if self._other_password and not self.chosen.secret:
            stack = self.destination.target.stack
            raise CommandError(
                f"the backup was made with another encryption.password than that of stack {stack}, and it has not got it; DHIS2 could not read what is encrypted in it. Set the one it was made with: pulumi config set --secret encryptionPassword -s {stack}"
            )

    def warnings(self) -> Iterator[str]:
        """Yield what changes besides database and files."""
        if self._other_password:
            yield "the backup was made with another encryption.password: it becomes the setting encryptionPassword, and pulumi up runs"

    def run(self) -> None:
        """Restore. Raises CommandError with what failed; the database before is kept then."""
        self._unpack()
        try:
            self._exchange()
        finally:
            self.destination.execute(backup_part(self.destination), [*BACKUP, "discard"])

    @cached_property
    def _other_password(self) -> bool:
        """True where the set was made with another encryption.password than that of the stack it comes into."""
        if self.parts == "files" or not self.chosen.fingerprint:
            return False
        primary = self.destination.running("primary")
        code, _ = self.destination.execute(primary, [*RESTORE_SET, "matches", self.chosen.fingerprint])
        return code != 0

    def _unpack(self) -> None:
        target, part = self.source.target, backup_part(self.source)
        if follow(target, part, [*BACKUP, "unpack", self.chosen.set, self.parts])[0]:
            raise CommandError("the backup could not be fetched; nothing was changed", FAILED)
        if self.destination is self.source:
            return
        there = backup_part(self.destination)
        try:
            self.destination.execute(there, [*BACKUP, "discard"])
            progress(f"copying the backup to stack {self.destination.target.stack}")
            names = {"all": UNPACKED, "database": UNPACKED[:1], "files": UNPACKED}[self.parts]
            failure = transfer((target, part), (self.destination.target, there), names)
            if failure:
                raise CommandError(
                    f"the backup could not be copied to stack {self.destination.target.stack}: {failure}", FAILED
                )
        finally:
            self.source.execute(part, [*BACKUP, "discard"])

    def _exchange(self) -> None:
        """Replace database and files while no core runs; where that fails, the cores start with what was there."""
        cores = [part for part in self.destination.parts() if part.group == "core"]
        progress("stopping the cores")
        self.destination.map(self.destination.stop, cores)
        failure: Exception | None = None
        try:
            if self.parts != "files":
                self._restore_database()
            if self.parts != "database":
                self._must("backup", [*BACKUP, "exchange-files"], "the files could not be exchanged")
            self._must("cache", FLUSH, "the cache refused FLUSHALL")
        except (CommandError, NotReady) as error:
            failure = error
        if self._other_password and not failure:
            self._take_over_password()
            return
        try:
            for group in filter(None, (cores[:1], cores[1:])):
                progress(f"starting {', '.join(part.part for part in group)}")
                self.destination.map(self.destination.start, group)
                self._wait(group)
        except NotReady as error:
            failure = failure or error
        if failure:
            raise CommandError(str(failure), FAILED) from failure

    def _restore_database(self) -> None:
        primary = self.destination.running("primary")
        own = ["own"] if self._other_password else []
        self._must("primary", [*RESTORE_SET, "request", self.chosen.set, *own], "the primary took no request")
        progress("restoring the database")
        self.destination.restart(primary)
        failure: NotReady | None = None
        try:
            self._wait([primary], WEEK_SECONDS)
        except NotReady as error:
            failure = error
            self._wait([primary], WEEK_SECONDS)
        _, marker = self.destination.execute(primary, ["cat", MARKER])
        if f"restored_set={self.chosen.set}" not in marker.splitlines():
            raise CommandError(
                f"the database of backup {self.chosen.set} could not be restored, and the one before is kept: {failure or 'docker logs ' + primary.container}",
                FAILED,
            )
        replicas = [part for part in self.destination.parts() if part.group == "replica"]
        if replicas:
            # Their healthchecks may have passed before they notice that this is another database.
            progress("the replicas clone the primary")
            self.destination.map(self.destination.restart, replicas)
            self._wait(replicas, WEEK_SECONDS)

    def _take_over_password(self) -> None:
        target, part = self.destination.target, backup_part(self.destination)
        code, password = self.destination.execute(part, ["cat", OWN_PASSWORD])
        if code:
            raise CommandError(f"the backup's encryption.password cannot be read: {password.strip()}", FAILED)
        failure = target.set_secret("encryptionPassword", password) or target.up()
        if failure:
            raise CommandError(
                f"database and files are restored, but no core runs: {failure}. Fix it, then: pulumi up -s {target.stack}",
                FAILED,
            )

    def _must(self, name: str, command: Sequence[str], failure: str) -> None:
        code, output = self.destination.execute(self.destination.running(name), command)
        if code:
            raise CommandError(f"{failure}: {fatal_of(output)}", FAILED)

    def _wait(self, parts: Sequence[Part], seconds: int | None = None) -> None:
        watcher = watcher_of(self.destination.target, seconds)
        asyncio.run(watcher.until_ready([part.wait_target for part in parts]))
