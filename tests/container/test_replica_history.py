"""Replicas whose primary was restored from an older copy of its volume: they have WAL that it has not."""

import pytest

from tests.container.databases import until_healthy
from tests.container.replication import Pair
from tests.support.commands import logs, shell, sql
from tests.support.containers import Containers
from tests.support.project import POSTGRES
from tests.support.waiting import until, until_logged

pytestmark = pytest.mark.container

OLDER = "restored from an older backup"
# Recovery from a backup, as PostgreSQL's manual has it: it ends where the WAL ends, and begins a new timeline there.
RECOVER = """
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin)
touch cluster/recovery.signal
options='-c listen_addresses= -c unix_socket_directories=/tmp -c hot_standby=off -c restore_command=false'
pg_ctl -s -D cluster -o "$options" start
until pg_isready -q -h /tmp; do sleep 0.1; done
pg_ctl -s -D cluster -w stop
"""


class Restorable(Pair):
    """A pair whose primary can be restored from a copy of its volume."""

    def backup(self, *, recovered: bool = False, running: bool = False) -> str:
        """Copy the primary's volume while it is down, or as a snapshot while it is `running`.

        `recovered`: the copy begins a new timeline.
        """
        if running:
            self.primary.pause()
        else:
            self.primary.stop(timeout=20)
        target = self.containers.volume("backup")
        mounts = {
            self.volumes[0]: {"bind": "/from", "mode": "rw"},
            target: {"bind": "/var/lib/postgresql", "mode": "rw"},
        }
        script = f"set -e; cd /var/lib/postgresql; cp -a /from/. .; {RECOVER if recovered else ''}"
        copier = self.containers.start(POSTGRES, entrypoint=["sh", "-c", script], user="999:999", volumes=mounts)
        assert copier.wait()["StatusCode"] == 0, logs(copier)
        self.containers.remove(copier)
        if running:
            self.primary.unpause()  # type: ignore[no-untyped-call]
        else:
            self.primary.start()
        until_healthy(self.primary, "primary")
        until_healthy(self.replica, "replica")
        return target

    def restore(self, backup: str) -> None:
        """Replace the primary by one with that copy."""
        self.containers.remove(self.primary)
        self.volumes = (backup, self.volumes[1])
        self.primary = self.databases.primary(backup)
        until_healthy(self.primary, "primary")

    def outgrow(self) -> None:
        """Write on the primary until it has more WAL than the replica, whose own is a few kilobytes longer."""
        sql(self.primary, "CREATE TABLE IF NOT EXISTS more (filler text)")
        sql(self.primary, "INSERT INTO more SELECT repeat('z', 1000) FROM generate_series(1, 5000)")

    def restore_while_replica_is_away(self, backup: str, reason: str) -> None:
        """Replace and outgrow the primary while the replica is stopped; wait until the replica logs why it clones."""
        self.replica.stop(timeout=20)
        self.restore(backup)
        self.outgrow()
        before = len(logs(self.replica))
        self.replica.start()
        until_logged(self.replica, reason, before)

    def follows(self, gone: str) -> None:
        """Wait until the replica is healthy; it has the primary's rows and nothing of the past that was undone."""
        until_healthy(self.replica, "replica")
        assert sql(self.replica, f"SELECT to_regclass('{gone}') IS NULL") == "t", "the primary has no such table"
        self.arrives(f"after_{gone}")


@pytest.fixture(scope="module")
def pair(containers: Containers) -> Restorable:
    return Restorable(containers, "history")


def test_a_replica_ahead_of_its_restored_primary_is_cloned_again(pair: Restorable) -> None:
    backup = pair.backup()
    pair.arrives("undone")
    pair.restore(backup)
    # PostgreSQL says nothing, or that it waits: it calls this streaming, and the replica has rows of its own.
    until_logged(pair.replica, "cloning the primary: the primary is behind this standby")
    pair.follows(gone="undone")


def test_a_replica_that_was_away_while_its_restored_primary_outgrew_it_is_cloned_again(pair: Restorable) -> None:
    backup = pair.backup()
    pair.arrives("undone_while_away")
    pair.restore_while_replica_is_away(backup, OLDER)
    pair.follows(gone="undone_while_away")


def test_a_replica_whose_restored_primary_outgrew_it_before_it_was_back_is_cloned_again(pair: Restorable) -> None:
    backup = pair.backup()
    pair.arrives("undone_while_paused")
    before = len(logs(pair.replica))
    pair.replica.pause()
    pair.restore(backup)
    pair.outgrow()
    pair.replica.unpause()  # type: ignore[no-untyped-call]
    until_logged(pair.replica, OLDER, before)
    pair.follows(gone="undone_while_paused")


def test_a_replica_of_a_primary_restored_from_a_snapshot_of_its_last_run_is_cloned_again(pair: Restorable) -> None:
    backup = pair.backup(running=True)
    pair.arrives("undone_after_snapshot")
    pair.restore_while_replica_is_away(backup, OLDER)
    pair.follows(gone="undone_after_snapshot")


def test_a_replica_of_a_primary_on_another_timeline_is_cloned_again(pair: Restorable) -> None:
    backup = pair.backup(recovered=True)
    pair.arrives("forked")
    pair.restore_while_replica_is_away(backup, "restored from an older backup: its timeline 2 begins at")
    pair.follows(gone="forked")


def test_a_replica_ended_when_it_had_just_learned_of_another_timeline_is_cloned_again(pair: Restorable) -> None:
    backup = pair.backup(recovered=True)
    pair.arrives("forked_and_ended")
    for server in (pair.primary, pair.replica):
        sql(server, "CHECKPOINT")  # without the history before this it cannot start
    before = len(logs(pair.replica))
    # Its watcher sleeps on, or it might clone before it is ended.
    until(lambda: shell(pair.replica, "pkill -STOP -x sleep")[0] == 0, "the freeze", container=pair.replica)
    pair.restore(backup)
    until_logged(pair.replica, "forked off current database system timeline", before)
    pair.replica.kill()
    pair.replica.start()
    until_logged(pair.replica, OLDER, before)
    pair.follows(gone="forked_and_ended")
