"""A primary and a replica that streams from it."""

from tests.container.databases import Databases, until_healthy
from tests.support.commands import logs, shell, sql
from tests.support.containers import Containers
from tests.support.waiting import until

# So few WAL segments are kept that a test can outrun them.
LITTLE_WAL = "max_slot_wal_keep_size = 32MB\nmax_wal_size = 48MB\nmin_wal_size = 32MB\n"


class Pair:
    """A primary and one replica."""

    def __init__(self, containers: Containers, name: str) -> None:
        """Start both and wait until they are healthy; `name` is part of the names of their volumes."""
        self.containers = containers
        self.databases = Databases(containers, containers.volume(f"{name}-dumps"), LITTLE_WAL)
        self.volumes = (containers.volume(f"{name}-primary"), containers.volume(f"{name}-replica"))
        self.primary = self.databases.primary(self.volumes[0])
        self.replica = self.databases.replica(self.volumes[1])
        until_healthy(self.primary, "primary")
        until_healthy(self.replica, "replica")

    def clones(self) -> int:
        """Return how often the replica has been cloned."""
        return logs(self.replica).count("the clone is complete")

    def arrives(self, table: str) -> None:
        """Create a table on the primary and wait until it is on the replica."""
        sql(self.primary, f"CREATE TABLE {table} (id integer)")
        until(
            lambda: shell(self.replica, f"psql -XAtqU postgres -d dhis -c 'TABLE {table}'")[0] == 0,
            f"{table} on the replica",
            container=self.replica,
        )
