"""Memory of the database containers, and what PostgreSQL takes of it."""

MAX_CONNECTIONS = 600
"""Four cores of the newest DHIS2: each has a pool of up to 30 connections to the primary and three to each replica,
which lead to the primary while that replica is away. A replica must not have fewer than its primary, so it does not
follow memory. An unused slot costs about 20 kB."""

SMALLEST_MB = 256
FETCH_MEMORY_MB = 128  # of the container that fetches the dump

DATA_PER_SQL, DATA_PER_GZIP = 1, 5
"""How many times as large as its dump a data directory is at least: less than half of what was measured with dumps of
DHIS2. Without WAL it is 2.4 to 3.1 times as large as the SQL, 11 to 21 times as large as that in gzip, and 10 to 25
times as large as an archive in the custom format. Long values are compressed in tables too, so others may need less."""


def data_bytes(dump_bytes: int, *, gzip: bool) -> int:
    """Return what a data directory takes at least, by the size of its dump."""
    return dump_bytes * (DATA_PER_GZIP if gzip else DATA_PER_SQL)


def postgres(memory_mb: int) -> dict[str, int]:
    """Return the values of `database/postgresql.conf.j2` for a container limited to `memory_mb` MB.

    Keys name their unit. Sources: PostgreSQL's documentation (resource consumption) and DHIS2's PostgreSQL guide.
    """
    memory_mb = max(memory_mb, SMALLEST_MB)
    return {
        "max_connections": MAX_CONNECTIONS,
        # A quarter, as PostgreSQL's documentation advises; beyond 16 GB the kernel's cache serves better.
        "shared_buffers_mb": min(memory_mb // 4, 16384),
        # The kernel's cache counts towards the container's limit, so it is what is left.
        "effective_cache_size_mb": memory_mb * 5 // 8,
        # Twenty queries at a time, each with two sorts, may take a quarter: DHIS2's guide has 24 MB for 8 GB.
        "work_mem_kb": _between(2048, memory_mb * 1024 // 4 // 40, 65536),
        # Three autovacuum workers and one index at a time may each take it.
        "maintenance_work_mem_mb": _between(16, memory_mb // 16, 2048),
        # How much a checkpoint may have to replay after a crash, and stay on disk.
        "max_wal_size_mb": _between(512, memory_mb, 8192),
        # What a replica may be behind before its slot is lost: the bound of the primary's disk use.
        "max_slot_wal_keep_size_mb": _between(1024, memory_mb, 16384),
        # Split among the jobs of pg_restore: nothing else runs while a dump is restored.
        "restore_memory_mb": _between(64, memory_mb // 2, 16384),
    }


def shared_memory_mb(memory_mb: int) -> int:
    """Return the size of /dev/shm in MB: parallel queries share hash tables there, and Docker's 64 MB are too few.

    It is a limit, not a reservation; what is used counts towards the container's memory.
    """
    return _between(64, memory_mb // 4, 4096)


def _between(least: int, value: int, most: int) -> int:
    return max(least, min(value, most))
