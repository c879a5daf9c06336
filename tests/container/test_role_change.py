"""Volumes of databases that change their roles: each becomes one of the other role, or refuses and stays as it is."""

import pytest

from components.database.role_change import SCRIPT
from components.orchestrator.container_paths import FILES
from tests.container.databases import Databases, until_healthy
from tests.support.commands import logs, shell, shell_output, sql
from tests.support.containers import Containers
from tests.support.waiting import until_exited, until_logged

pytestmark = [pytest.mark.container, pytest.mark.scenario]

DATA = "/var/lib/postgresql"


class Two:
    """A primary and a replica as on a swarm; the container of each can be another one after each step."""

    def __init__(self, containers: Containers) -> None:
        """Start both and wait until they are healthy."""
        self.containers = containers
        self.databases = Databases(containers, containers.volume("dumps"), roles_change=True)
        self.first, self.second = containers.volume("first"), containers.volume("second")
        self.primary = self.databases.primary(self.first)
        self.replica = self.databases.replica(self.second)
        until_healthy(self.primary, "primary")
        until_healthy(self.replica, "replica")

    def change(self, *words: str) -> tuple[int, str]:
        """Return exit code and output of the script's command beside the replica, which waits two seconds at most."""
        script = f"sed 's/^shutdown_seconds=.*/shutdown_seconds=2/' {FILES}/{SCRIPT} >/tmp/it"
        return shell(self.replica, f"{script} && bash /tmp/it {' '.join(words)}")

    def prepare(self) -> None:
        """Put the marker of the primary beside the replica's, as before a promotion."""
        shell_output(self.replica, f"echo accepted_key=none >{DATA}/promotion.prepared")

    def exchange(self, primary: str, replica: str) -> None:
        """Stop the replica, and start a primary and a replica on these volumes; the primary is healthy then."""
        self.replica.stop(timeout=30)
        for container in (self.primary, self.replica):
            self.containers.remove(container)
        self.primary = self.databases.primary(primary)
        until_healthy(self.primary, "primary")
        self.replica = self.databases.replica(replica)


@pytest.fixture(scope="module")
def two(containers: Containers) -> Two:
    """Return a primary and its replica."""
    return Two(containers)


def test_a_replica_is_no_primary_because_someone_starts_it_as_one(two: Two) -> None:
    two.replica.stop()
    wrong = two.databases.primary(two.second)
    assert "this volume has a replica that was not promoted; nothing was changed" in until_exited(wrong)
    two.containers.remove(wrong)
    two.replica.start()
    until_healthy(two.replica, "replica")


def test_a_database_waits_for_the_end_of_another_on_its_volume(two: Two) -> None:
    second = two.databases.replica(two.second)
    until_logged(second, "waiting for another database that works on this volume")
    two.containers.remove(second)
    until_healthy(two.replica, "replica")


def test_a_replica_without_the_end_of_its_primary_is_not_promoted(two: Two) -> None:
    two.prepare()
    code, lsn = two.change("position")
    assert code == 0 and "/" in lsn
    two.primary.kill()
    code, output = two.change("allow", lsn.strip())
    assert code == 1 and "has not received all that its primary wrote" in output
    code, output = two.change("position")
    assert code == 1 and "does not stream from its primary" in output
    two.primary.start()
    until_healthy(two.primary, "primary")
    until_healthy(two.replica, "replica")


def test_both_change_their_roles_when_the_replica_has_all(two: Two) -> None:
    sql(two.primary, "CREATE TABLE kept AS SELECT 1 AS n")
    two.prepare()
    lsn = two.change("position")[1].strip()
    two.primary.stop(timeout=30)
    code, output = two.change("allow", lsn)
    assert code == 0, output
    two.exchange(two.second, two.first)
    assert sql(two.primary, "SELECT n FROM kept") == "1"
    marker = shell_output(two.primary, f"cat {DATA}/restored")
    assert "accepted_key=none" in marker and "restored_at=1" in marker, "when it was initialised"
    until_healthy(two.replica, "replica")
    assert "the primary that was here becomes a replica" in logs(two.replica) and "cloning" not in logs(two.replica)


def test_a_primary_that_was_killed_is_replaced_by_a_clone(two: Two) -> None:
    two.prepare()
    two.primary.kill()
    code, output = two.change("allow")
    assert code == 0, output
    two.exchange(two.first, two.second)
    until_healthy(two.replica, "replica")
    assert "or was not shut down" in logs(two.replica) and "cloning the primary" in logs(two.replica)


def test_a_primary_of_another_database_is_not_overwritten(two: Two) -> None:
    volume = two.containers.volume("other")
    other = Databases(two.containers, two.databases.dumps, roles_change=True).primary(volume)
    until_healthy(other, "primary")
    other.stop(timeout=30)
    two.replica.stop(timeout=30)
    wrong = two.databases.replica(volume, "replica-2")
    assert "is another database; nothing was changed" in until_exited(wrong)
    two.containers.remove(wrong)
    other.start()
    until_healthy(other, "primary")
