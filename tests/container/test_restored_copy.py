"""A dump is restored once per machine: the next restore of it starts from a copy in the dump cache."""

from collections.abc import Iterator

import pytest
from docker.models.containers import Container

from components.database.database_pair import WARNINGS
from components.database.passwords import has_fingerprint
from components.orchestrator.container_paths import FILES
from tests.container.databases import until_healthy
from tests.container.dump_cache import KEPT, NOT_KEPT, ROW, STARTED, DumpCache, marker
from tests.support.archive import packed
from tests.support.commands import logs, shell_output, sql
from tests.support.containers import Containers
from tests.support.waiting import until, until_exited, until_logged

pytestmark = pytest.mark.container

SYSTEM = "SELECT system_identifier FROM pg_control_system()"
RECORDED = "SELECT fingerprint FROM dhis2_cluster.encryption_password"
SCRIPT = f"{FILES}/set-logged.sql"
LEFT_OUT = "left out: SECURITY LABEL FOR selinux"
FIRST, SECOND = "encryption-password-of-the-first", "encryption-password-of-the-second"


def test_the_second_database_starts_from_the_copy_of_the_first(cache: DumpCache) -> None:
    first = cache.restored("once", encryption=FIRST, admin=True)
    assert KEPT in logs(first) and NOT_KEPT not in logs(first), logs(first)
    sql(first, "CREATE TABLE later (n integer)")
    second = cache.restored("once", encryption=SECOND, admin=True)
    assert STARTED in logs(second) and "restoring dump" not in logs(second), logs(second)
    assert sql(second, ROW) == "once"
    assert sql(second, "SELECT to_regclass('later') IS NULL") == "t", "what the first has entered since is its own"
    assert has_fingerprint(SECOND, sql(second, RECORDED)) and has_fingerprint(FIRST, sql(first, RECORDED))
    assert "copied=yes" in marker(second) and "copied=yes" not in marker(first)
    assert (
        sql(second, "SELECT datcollversion = pg_database_collation_actual_version(oid) FROM pg_database LIMIT 1") != "f"
    )


def test_what_was_left_out_of_the_dump_is_reported_by_each_start_from_its_copy(cache: DumpCache) -> None:
    for primary in (cache.restored("reported"), cache.restored("reported")):
        assert LEFT_OUT in logs(primary)
        assert LEFT_OUT in shell_output(primary, f"cat {WARNINGS}"), "pulumi up warns of it"
    assert STARTED in logs(primary)


def test_databases_from_one_copy_have_system_identifiers_of_their_own(cache: DumpCache) -> None:
    primaries = [cache.restored("identified") for _ in range(3)]
    assert len({sql(primary, SYSTEM) for primary in primaries}) == 3
    for primary in primaries:
        primary.restart()
        until_healthy(primary, "primary")
        assert sql(primary, ROW) == "identified"


def test_a_replica_of_the_database_before_is_cloned_again_when_its_primary_starts_from_a_copy(cache: DumpCache) -> None:
    before = cache.restored("replicated")
    replica = cache.databases.replica(cache.containers.volume("replica"))
    until_healthy(replica, "replica")
    sql(before, "CREATE TABLE undone (n integer)")
    until(lambda: sql(replica, "SELECT to_regclass('undone') IS NOT NULL") == "t", "the table", container=replica)
    replica.stop(timeout=20)
    cache.containers.remove(before)
    after = cache.restored("replicated")
    assert STARTED in logs(after)
    replica.start()
    until_logged(replica, "cloning the primary: the primary is another database")
    until_healthy(replica, "replica")
    assert sql(replica, "SELECT to_regclass('undone') IS NULL") == "t"
    assert sql(replica, ROW) == "replicated"


def test_a_copy_has_no_password_of_a_stack(cache: DumpCache) -> None:
    cache.restored("secret", encryption=FIRST, admin=True)
    assert cache.run("grep -rlaE 'SCRAM-SHA-256[$]4096:|pbkdf2-sha256[$]' . || true") == ""


def test_other_scripts_do_not_start_from_a_copy(cache: DumpCache) -> None:
    before = cache.restored("scripts")
    primary = cache.primary("scripts", start=False)
    primary.put_archive("/", packed({SCRIPT: f"{cache.databases.files('primary')[SCRIPT]!s}-- changed\n"}))
    primary.start()
    until_healthy(primary, "primary")
    assert STARTED not in logs(primary) and KEPT in logs(primary)
    assert KEPT in logs(before)


DAMAGES = {
    "a file is missing": 'rm "$(find pgdata/base -type f -size +100k | head -n 1)"',
    "a file is truncated": 'f=$(find pgdata/base -type f -size +100k | head -n 1) && truncate -s 8192 "$f"',
    "a page is damaged": 'f=$(find pgdata/base -type f -size +100k | head -n 1) && printf XXXX | dd of="$f" bs=1 seek=9000 conv=notrunc',
    "pg_control is damaged": "printf XXXX | dd of=pgdata/global/pg_control bs=1 seek=40 conv=notrunc",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_copy_is_replaced_and_never_served(cache: DumpCache, damage: str) -> None:
    name = damage.replace(" ", "-")[:30]
    before = cache.copies()
    cache.restored(name)
    (copy,) = cache.copies() - before
    cache.run(f"cd {copy} && {DAMAGES[damage]}")
    primary = cache.restored(name)
    assert "the copy cannot be used, so the dump is restored again: " in logs(primary), logs(primary)
    assert sql(primary, ROW) == name
    assert len(cache.copies() - before) == 1, "the restore has left a new one"


def test_of_two_stacks_that_start_at_the_same_time_one_restores(cache: DumpCache) -> None:
    cache.fetched("both")
    both = [cache.primary("both"), cache.primary("both")]
    for primary in both:
        until_healthy(primary, "primary")
        assert sql(primary, ROW) == "both"
    assert sorted(STARTED in logs(primary) for primary in both) == [False, True]


def test_a_stack_that_does_nothing_is_not_waited_for(cache: DumpCache) -> None:
    first = cache.restored("stuck")
    (copy,) = cache.run("ls -t | grep -x '[0-9a-f]*' | head -n 1").split()
    cache.run(f"rm -r {copy}")
    holder = hold(cache, copy, "-x")
    cache.run(f"touch -d '5 minutes ago' {copy}.lock")
    second = cache.restored("stuck")
    assert sql(second, ROW) == sql(first, ROW)
    assert "waiting for another stack that restores the same dump" in logs(second)
    cache.containers.remove(holder)


def hold(cache: DumpCache, copy: str, mode: str) -> Container:
    """Start a container that holds the lock of a copy."""
    mounts = {cache.volume: {"bind": "/dumps", "mode": "rw"}}
    command = f"exec 8<>/dumps/copies/{copy}.lock && flock {mode} 8 && : >/tmp/reached && sleep 900"
    image = str(cache.reader.attrs["Config"]["Image"])
    holder = cache.containers.start(image, entrypoint=["sh", "-c", command], user="999:999", volumes=mounts)
    until(lambda: "reached" in shell_output(holder, "ls /tmp"), "the lock", container=holder)
    return holder


@pytest.fixture
def small(containers: Containers) -> Iterator[DumpCache]:
    """A dump cache of its own."""
    cache = DumpCache(containers)
    yield cache
    cache.remove_primaries()


def test_the_least_recently_used_copies_are_removed_first(small: DumpCache) -> None:
    names: dict[str, str] = {}
    for name in ("a", "b"):
        before = small.copies()
        small.restored(name)
        (names[name],) = small.copies() - before
        small.run(f"touch -d '2 hours ago' {names[name]}")
    size_mb = int(small.run(f"du -sm {names['a']}").split()[0])
    small.restored("a")  # used again
    small.restored("c", mb=size_mb * 2 + size_mb // 2)
    assert names["a"] in small.copies() and names["b"] not in small.copies()
    assert len(small.copies()) == 2


def test_no_copy_is_kept_that_is_larger_than_the_dump_cache_may_be(small: DumpCache) -> None:
    small.restored("kept")
    size_mb = int(small.run("du -sm . | cut -f 1"))
    primary = small.restored("larger", mb=size_mb // 2)
    assert f"{NOT_KEPT}it has " in logs(primary) and f"and dumpCacheSize is {size_mb // 2} MB" in logs(primary)
    assert sql(primary, ROW) == "larger"


def test_with_size_0_no_copy_is_used_or_kept_and_those_in_the_cache_are_removed(small: DumpCache) -> None:
    small.restored("off")
    assert len(small.copies()) == 1
    primary = small.restored("off", mb=0)
    assert STARTED not in logs(primary) and KEPT not in logs(primary)
    assert small.copies() == set() and small.unfinished() == set()


def test_a_copy_in_use_is_not_removed(small: DumpCache) -> None:
    small.restored("used")
    (copy,) = small.copies()
    holder = hold(small, copy, "-s")
    small.fetched("used", mb=0)
    assert small.copies() == {copy}
    small.containers.remove(holder)
    small.fetched("used", mb=0)
    assert small.copies() == set()


def test_what_a_kill_has_left_in_the_cache_and_old_copies_are_removed(small: DumpCache) -> None:
    small.restored("old")
    (copy,) = small.copies()
    small.run(f"umask 0; mkdir -p {'b' * 64}.part/pgdata {'c' * 64}.removed/pgdata && touch -d '40 days ago' {copy}")
    small.fetched("old")
    assert small.copies() == set() and small.unfinished() == set()


def test_no_copy_is_kept_where_the_disk_has_too_little_room(containers: Containers) -> None:
    volume = containers.volume("tmpfs", type="tmpfs", device="tmpfs", o="size=400m,mode=1777")
    cache = DumpCache(containers, volume)
    primary = cache.restored("room")
    assert f"{NOT_KEPT}it has " in logs(primary) and "and the disk of Docker Engine has" in logs(primary)
    assert cache.copies() == set() and cache.unfinished() == set()
    assert sql(primary, ROW) == "room"


def test_the_log_of_a_fetch_has_no_error(small: DumpCache) -> None:
    log = until_exited(small.fetch("quiet"))
    assert [line.partition(" (")[0] for line in log.splitlines()] == ["checking the dump", "the dump quiet is complete"]
