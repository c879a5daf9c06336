"""A primary and a replica that follows it."""

from tests.container.databases import (
    Databases,
    Engine,
    logs,
    shell,
    sql,
    until,
    until_healthy,
)

# So little log is kept that a test can outrun it.
SMALL_LOG = "max_slot_wal_keep_size = 32MB\nmax_wal_size = 48MB\nmin_wal_size = 32MB\n"


class Pair:
    """A primary and one replica."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.databases = Databases(engine, engine.volume(f"{name}-dumps"), SMALL_LOG)
        self.volumes = (engine.volume(f"{name}-primary"), engine.volume(f"{name}-replica"))
        self.primary = self.databases.primary(self.volumes[0])
        self.replica = self.databases.replica(self.volumes[1])
        until_healthy(self.primary, "primary")
        until_healthy(self.replica, "replica")

    def clones(self) -> int:
        """How often the replica has been cloned."""
        return logs(self.replica).count("the clone is complete")

    def arrives(self, table: str) -> None:
        """Wait until a table made on the primary is on the replica."""
        sql(self.primary, f"CREATE TABLE {table} (id integer)")
        until(
            f"{table} on the replica",
            self.replica,
            lambda: shell(self.replica, f"psql -XAtqU postgres -d dhis -c 'TABLE {table}'")[0] == 0,
        )
