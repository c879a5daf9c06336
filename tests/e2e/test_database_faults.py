"""Faults of the databases of a running stack: WAL that was removed, an older volume, a killed clone, a full disk."""

from collections.abc import Iterator

import pytest
from docker.models.containers import Container

from components.database.database_pair import DATA, UID
from components.orchestrator.container_paths import FILES
from tests.e2e.conftest import MakeStack
from tests.e2e.disks import ext4
from tests.e2e.processes import kill, started, stopped, until_restarted
from tests.support.commands import execute, shell, shell_output
from tests.support.containers import Containers
from tests.support.durations import Took
from tests.support.fixtures import containers
from tests.support.project import POSTGRES
from tests.support.stack import ADMIN, Stack
from tests.support.waiting import until

__all__ = ["containers"]

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.simulator]

DISK_MB = 1536
# So few WAL segments are kept that a test can outrun them.
LITTLE_WAL = {"max_slot_wal_keep_size": "32MB", "max_wal_size": "48MB", "min_wal_size": "32MB"}
BOUND_MB = 160
FILL = "INSERT INTO filler SELECT repeat(md5(n::text), 30) FROM generate_series(1, 400000) n"

WRITE_WAL = "INSERT INTO kept SELECT count(*) FROM kept RETURNING n; SELECT FROM pg_switch_wal()"


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the device of a small file system."""
    with ext4(tmp_path_factory.mktemp("disk") / "ext4", DISK_MB) as device:
        yield device


@pytest.fixture(scope="module")
def deployed(device: str, make_stack: MakeStack, dumps: str) -> Stack:
    """Deploy a core, a primary whose volume is the small file system, and a replica."""
    stack = make_stack(cores=1, replicas=1, dumpUrl=f"{dumps}/small.sql.gz")
    # `up` adopts a volume that exists.
    options = {"type": "ext4", "device": device}
    stack.docker.volumes.create(f"{stack.prefix}-primary-data", driver_opts=options)
    stack.up()
    return stack


@pytest.fixture(scope="module")
def disk(deployed: Stack, containers: Containers) -> Container:
    """Return a container that has the primary's volume at /disk, whatever happens to the primary."""
    volumes = {f"{deployed.prefix}-primary-data": {"bind": "/disk", "mode": "rw"}}
    return containers.start(POSTGRES, entrypoint=["sleep", "infinity"], user=f"{UID}:{UID}", volumes=volumes)


@pytest.fixture
def stack(deployed: Stack) -> Stack:
    """Wait until all parts are healthy."""
    deployed.wait_healthy("primary", "replica-1", "core-1", "lb", "cache")
    return deployed


def clones(stack: Stack) -> int:
    """Return how often the replica has been cloned."""
    return stack.log("replica-1").count("the clone is complete")


def probe(stack: Stack, role: str, part: str) -> tuple[int, str]:
    """Return exit code and output of the healthcheck of a part at this moment."""
    return execute(stack.container(part), "/bin/sh", f"{FILES}/health.sh", role)


def until_probed(stack: Stack, role: str, part: str) -> None:
    """Wait until the healthcheck of a part succeeds."""
    until(lambda: probe(stack, role, part)[0] == 0, f"{part} to pass its healthcheck")


def serves(stack: Stack) -> bool:
    """Return whether DHIS2 answers a read and a write."""
    with stack.client(auth=ADMIN) as client:
        read = client.get("/api/me")
        write = client.post("/api/userDataStore/faults/key", json={"n": 1})
        return read.is_success and client.delete("/api/userDataStore/faults/key").is_success and write.is_success


def test_a_replica_away_until_its_wal_was_removed_is_cloned_again_and_the_wal_is_bounded(
    stack: Stack, took: Took
) -> None:
    before = clones(stack)
    for name, value in LITTLE_WAL.items():
        stack.sql(f"ALTER SYSTEM SET {name} = '{value}'")
    stack.sql("SELECT pg_reload_conf()")
    with stopped(stack, "replica-1"):
        stack.sql("CREATE TABLE much (filler text)")
        for _ in range(10):
            stack.sql("INSERT INTO much SELECT repeat('x', 1000) FROM generate_series(1, 25000)")
            stack.sql("CHECKPOINT")
        size = float(stack.sql("SELECT sum(size) / 1000000 FROM pg_ls_waldir()"))
        assert size < BOUND_MB, "a replica that is away must not fill the disk"
    with took("the replica is cloned again and healthy"):
        until(lambda: clones(stack) == before + 1, "the replica to be cloned again")
        until_probed(stack, "replica", "replica-1")
    assert "cloning the primary: required WAL segment was removed" in stack.log("replica-1"), "its log has the reason"
    stack.wait_sql("SELECT count(*) FROM much", "250000", "replica-1")
    stack.sql("DROP TABLE much")
    for name in LITTLE_WAL:
        stack.sql(f"ALTER SYSTEM RESET {name}")
    stack.sql("SELECT pg_reload_conf()")


def test_a_replica_of_a_primary_restored_from_an_older_volume_is_cloned_again(
    stack: Stack, disk: Container, took: Took
) -> None:
    with stopped(stack, "primary"):
        shell_output(disk, "mkdir /disk/backup && cp -a /disk/cluster /disk/backup/")
    until_probed(stack, "replica", "replica-1")
    stack.sql("CREATE TABLE undone AS SELECT 1 AS n")
    stack.wait_sql("SELECT n FROM undone", "1", "replica-1")
    before = clones(stack)
    with stopped(stack, "primary"):
        shell_output(disk, "rm -r /disk/cluster && mv /disk/backup/cluster /disk/ && rmdir /disk/backup")
    with took("the replica notices, is cloned again and healthy"):
        until(lambda: clones(stack) == before + 1, "the replica to be cloned again")
        until_probed(stack, "replica", "replica-1")
    assert "restored from an older backup" in stack.log("replica-1"), "its log has the reason"
    assert stack.sql("SELECT to_regclass('undone') IS NULL", "replica-1") == "t", "the primary has no such table"
    until(lambda: serves(stack), "DHIS2 to serve")


def test_a_base_backup_that_is_killed_begins_again(stack: Stack, took: Took) -> None:
    # Enough to send that the backup can be frozen after its first file; killed only when it is.
    stack.sql("CREATE TABLE big AS SELECT repeat('y', 1000) AS filler FROM generate_series(1, 100000)")
    stack.wait_sql("SELECT count(*) FROM big", "100000", "replica-1")
    replica = stack.container("replica-1")
    with stopped(stack, "primary"):
        shell_output(replica, f"rm {DATA}/cloned")
        logged = len(stack.log("replica-1"))
        kill(stack, "replica-1")
        until(lambda: "waiting for the primary" in stack.log("replica-1")[logged:], "the replica to begin a clone")
        begun = f"until [ -e {DATA}/staging/backup_label ]; do :; done"
        replica.exec_run(["sh", "-c", f"{begun}; pkill -STOP pg_basebackup && touch /tmp/frozen"], detach=True)
    until(lambda: shell(replica, "ls /tmp/frozen")[0] == 0, "the base backup to be half done")
    assert probe(stack, "replica", "replica-1") == (1, "replica: the primary is not cloned yet")
    before = started(stack, "replica-1")
    kill(stack, "replica-1")
    with took("the killed base backup is made again, the replica is healthy"):
        until_restarted(stack, "replica-1", before)
    assert stack.sql("SELECT count(*) FROM big", "replica-1") == "100000"
    stack.sql("DROP TABLE big")


def test_a_full_disk_refuses_writes_and_loses_nothing(stack: Stack, disk: Container, took: Took) -> None:
    stack.sql("CREATE TABLE kept (n int); CREATE TABLE filler (t text)")
    shell_output(disk, "fallocate -l $(($(stat -f -c '%a * %S' /disk) - 24000000)) /disk/ballast")
    try:
        code, output = stack.attempt_sql(FILL)
        assert code != 0, "the disk is full"
        assert "No space left on device" in output + stack.log("primary"), f"the cause is missing: {output}"
        # Until the WAL needs another segment: then the server ends, and cannot start before there is room.
        confirmed = set()
        for _ in range(200):
            code, output = stack.attempt_sql(WRITE_WAL)
            if code:
                break
            confirmed.add(output)
        assert code != 0, "200 WAL segments were written on a full disk"
    finally:
        shell_output(disk, "rm /disk/ballast")
    with took("the primary is healthy when there is room again"):
        until_probed(stack, "primary", "primary")
    assert confirmed <= set(stack.sql("SELECT n FROM kept").splitlines()), "a confirmed row was lost"
    assert stack.sql("SELECT count(*) FROM filler") == "0", "the failed statement left nothing"
    everything = ("pg_dump", "-h", "/var/run/postgresql", "-U", "postgres", "-f", "/dev/null", "dhis")
    assert stack.inside("primary", *everything) == "", "each table can be read"
    with took("DHIS2 reads and writes when there is room again"):
        until(lambda: serves(stack), "DHIS2 to serve")
    stack.sql(FILL.replace("400000", "1000"))
    stack.wait_sql("SELECT count(*) FROM filler", "1000", "replica-1")
