"""What PostgreSQL is given of the memory: it starts in the smallest container and fits into every one."""

import pytest

from components.database import sizing
from components.templates.rendering import render

SIZES = (256, 512, 1536, 8192, 65536)
STANDBY = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)


def conf(memory_mb: int) -> dict[str, str]:
    """The active settings of the rendered configuration."""
    lines = render("database/postgresql.conf.j2", **sizing.postgres(memory_mb)).splitlines()
    pairs = (line.split(" = ") for line in lines if line and not line.startswith("#"))
    return dict(pairs)


@pytest.mark.parametrize("memory_mb", SIZES)
def test_everything_reserved_at_start_fits_with_room_for_sessions(memory_mb: int) -> None:
    values = sizing.postgres(memory_mb)
    assert values["shared_buffers_mb"] <= memory_mb // 4, "the kernel's cache and the sessions need the rest"
    assert values["shared_buffers_mb"] + 3 * values["maintenance_work_mem_mb"] <= memory_mb / 2, (
        "three autovacuum workers at once must not end the server"
    )
    assert values["effective_cache_size_mb"] < memory_mb, "nothing outside the container's limit is its cache"
    assert values["shared_buffers_mb"] + values["restore_memory_mb"] <= memory_mb * 0.75, "a dump is restored in it"


@pytest.mark.parametrize("memory_mb", SIZES)
def test_twenty_queries_at_once_fit(memory_mb: int) -> None:
    values = sizing.postgres(memory_mb)
    assert 20 * values["work_mem_kb"] / 1024 <= memory_mb / 4
    assert values["work_mem_kb"] >= 2048, "less makes every sort spill"


def test_more_memory_never_gives_less() -> None:
    for key in sizing.postgres(SIZES[0]):
        given = [sizing.postgres(size)[key] for size in SIZES]
        assert given == sorted(given), key


def test_a_replica_has_what_its_primary_has_whatever_their_memory() -> None:
    first, other = conf(256), conf(65536)
    assert [first[name] for name in STANDBY] == [other[name] for name in STANDBY], (
        "a replica with less than its primary does not start, and memory may be changed one after the other"
    )


def test_too_little_memory_is_treated_as_the_least() -> None:
    assert sizing.postgres(1) == sizing.postgres(256)


@pytest.mark.parametrize("memory_mb", SIZES)
def test_shared_memory_is_never_less_than_docker_s_own_and_always_within_the_limit(memory_mb: int) -> None:
    assert 64 <= sizing.shared_memory_mb(memory_mb) <= memory_mb / 4


def test_shared_memory_is_more_than_docker_s_own_where_there_is_room() -> None:
    assert sizing.shared_memory_mb(1536) >= 256, "parallel queries fail in Docker's 64 MB"
    assert sizing.shared_memory_mb(8192) > sizing.shared_memory_mb(1536)


def test_a_server_is_told_of_the_memory_it_has() -> None:
    small, large = sizing.postgres(1536), sizing.postgres(8192)
    fixed = {"max_connections"}
    assert {key for key in small if small[key] >= large[key]} == fixed, "what is paid for is to be used"
    assert 20 <= large["work_mem_kb"] / 1024 <= 60, "DHIS2's guide has 24 MB for 8 GB"
    assert large["effective_cache_size_mb"] >= 4096, "plans by index are chosen where the data is thought to be cached"
    assert large["maintenance_work_mem_mb"] >= 256, "indexes are built in it"
    assert small["max_connections"] >= 3 * 3 * 30 * 2, "three cores and, for a version change, three more"


def test_the_log_kept_for_replicas_is_bounded() -> None:
    text = render("database/postgresql.conf.j2", **sizing.postgres(1536))
    assert "#from 13: max_slot_wal_keep_size = 1536MB" in text, "a replica that is away must not fill the disk"
