"""The restore of a backup: it is fetched, database and files are replaced by it, and what was fetched is removed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import inf, nan

from cli.backups import BACKUP, BackupSet, backup_part, bucket_of
from cli.deployed import DeployedStack
from cli.docker_command import transfer
from cli.errors import FAILED, CommandError
from cli.exchange import REQUEST, Exchange
from cli.output import progress
from components.dhis2.version import ReleaseError, parse_version

UNPACKED = ("var/tmp/unpacked", "files/.unpacked")
OWN_PASSWORD = "/var/tmp/unpacked/encryption-password"  # noqa: S105, S108 - in the container


@dataclass
class Restore:
    """The restore of one set; `parts` is all, database or files, and less is restored where files are in a bucket."""

    source: DeployedStack
    destination: DeployedStack
    chosen: BackupSet
    parts: str

    def check(self) -> None:
        """Raise CommandError where the restore cannot work. Changes nothing."""
        backup_part(self.destination)
        self._check_copy()
        if self.parts == "files" and self._without_files:
            raise CommandError(self._without_files)
        self.destination.running("cache")
        if self.parts == "files":
            return
        self.destination.running("primary")
        self._check_version()
        if self._other_password and not self.chosen.secret:
            stack = self.destination.target.stack
            raise CommandError(
                f"the backup was made with another encryption.password than that of stack {stack}, and it has not got it; DHIS2 could not read what is encrypted in it. Set the one it was made with: pulumi config set --secret encryptionPassword -s {stack}"
            )
        if self._other_password:
            self.destination.target.outputs()  # it must be possible to change the stack

    def warnings(self) -> Iterator[str]:
        """Yield what changes besides database and files, and what does not."""
        if self._without_files:
            yield f"the files stay as they are: {self._without_files}"
        if self._other_password:
            yield "the backup was made with another encryption.password: it becomes the setting encryptionPassword, and pulumi up runs"

    @property
    def restored(self) -> str:
        """What is restored: all, database or files."""
        return "database" if self._without_files else self.parts

    def run(self) -> None:
        """Restore. Raises CommandError with what failed; the database before is kept then."""
        self._unpack()
        try:
            exchange = Exchange(self.destination)
            exchange.must("backup", [*BACKUP, "begin-restore"], "the restore could not begin")
            exchange.run(lambda: self._replace(exchange), self._take_over_password if self._other_password else None)
        finally:
            self.destination.execute(backup_part(self.destination), [*BACKUP, "discard"])

    def _check_copy(self) -> None:
        if self.destination is self.source or (self.source.streams and self.destination.streams):
            return
        source, destination = self.source.target.stack, self.destination.target.stack
        raise CommandError(
            f"a backup of a stack on a Docker Swarm is not copied into another stack, nor one into it, since a manager connects no commands on its nodes. Have both use one repository, off the machines: pulumi config set backupRepository … -s {source}, and the same with -s {destination}, with one backupPassword. Then: dhis2-cluster restore {self.chosen.set} -s {destination}"
        )

    def _check_version(self) -> None:
        stack = self.destination.target.stack
        deployed = self.destination.environment(backup_part(self.destination)).get("DHIS2_VERSION", "")
        if _line(self.chosen.version) > _line(deployed):
            raise CommandError(
                f"the backup was made with DHIS2 {self.chosen.version}, and stack {stack} has {deployed}, which cannot use the database of a newer one. Upgrade it first: pulumi config set version {self.chosen.version} -s {stack} && pulumi up -s {stack}"
            )

    @cached_property
    def _without_files(self) -> str:
        """Why no files are restored although they should be: a bucket has them. Empty otherwise."""
        if self.parts == "database":
            return ""
        if self.chosen.bucket:
            return f"the backup {self.chosen.set} has none, they were in the bucket {self.chosen.bucket}, which DHIS2 uses where it is the fileStore"
        stack, bucket = self.destination.target.stack, bucket_of(self.destination)
        if bucket:
            return f"stack {stack} has them in the bucket {bucket}, and a backup is not restored into a bucket. To get those of the backup into it: pulumi config set fileStore volume -s {stack} && pulumi up -s {stack}, then dhis2-cluster restore {self.chosen.set} --files-only -s {stack}, set fileStore again, and dhis2-cluster move-files -s {stack}"
        return ""

    @cached_property
    def _other_password(self) -> bool:
        """True where the set was made with another encryption.password than that of the stack it comes into."""
        if self.parts == "files" or not self.chosen.fingerprint:
            return False
        primary = self.destination.running("primary")
        code, _ = self.destination.execute(primary, [*REQUEST, "matches", self.chosen.fingerprint])
        return code != 0

    def _unpack(self) -> None:
        part = backup_part(self.source)
        if self.source.follow(part, [*BACKUP, "unpack", self.chosen.set, self.restored])[0]:
            raise CommandError("the backup could not be fetched; nothing was changed", FAILED)
        if self.destination is self.source:
            return
        there = backup_part(self.destination)
        try:
            self.destination.execute(there, [*BACKUP, "discard"])
            progress(f"copying the backup to stack {self.destination.target.stack}")
            names = {"all": UNPACKED, "database": UNPACKED[:1], "files": UNPACKED}[self.restored]
            failure = transfer((self.source.target, part), (self.destination.target, there), names)
            if failure:
                raise CommandError(
                    f"the backup could not be copied to stack {self.destination.target.stack}: {failure}", FAILED
                )
        finally:
            self.source.execute(part, [*BACKUP, "discard"])

    def _replace(self, exchange: Exchange) -> None:
        if self.restored != "files":
            exchange.restore_database("backup", self.chosen.set, *(["own"] if self._other_password else []))
        if self.restored != "database":
            exchange.must("backup", [*BACKUP, "exchange-files"], "the files could not be exchanged")

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


def _line(version: str) -> float:
    """Return the release line of a version, 43 of 2.43.1; NaN where it is not known, which compares with nothing."""
    try:
        minor = parse_version(version).minor
    except ReleaseError:
        return nan
    return inf if minor is None else minor
