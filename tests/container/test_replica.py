"""Replicas: cloned from their primary, read-only, back by themselves after whatever happens to either."""

import pytest

from components.orchestrator.container_paths import SECRETS
from tests.container.databases import REPLICATION_PASSWORD, health, until_healthy
from tests.container.replication import Pair
from tests.support.commands import logs, shell, sql
from tests.support.containers import Containers
from tests.support.waiting import until, until_exited, until_logged

pytestmark = [pytest.mark.container, pytest.mark.scenario]

BOUND_MB = 160


@pytest.fixture(scope="module")
def pair(containers: Containers) -> Pair:
    return Pair(containers, "pair")


def test_a_replica_streams_and_cannot_be_written_to(pair: Pair) -> None:
    pair.arrives("streamed")
    code, output = shell(pair.replica, "psql -XAtqU postgres -d dhis -c 'CREATE TABLE no (id integer)'")
    assert code == 1 and "read-only" in output
    assert health(pair.replica, "replica") == (0, "")
    assert health(pair.replica, "primary")[0] == 1, "a replica is not taken for a primary"


def test_the_replication_password_is_nowhere_to_be_read(pair: Pair) -> None:
    code, shown = shell(
        pair.replica,
        "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ /var/lib/postgresql/cluster/*.conf | tr '\\0' ' ';"
        " psql -XAtU postgres -c 'SHOW primary_conninfo'; stat -c %a /tmp/replication.passfile",
    )
    assert code == 0
    assert shown.endswith("600"), "libpq ignores a passfile others may read"
    pair.replica.reload()
    for place in (shown, logs(pair.replica), logs(pair.primary), str(pair.replica.attrs)):
        assert REPLICATION_PASSWORD[:9] not in place


def test_a_restarted_replica_goes_on_without_a_new_clone(pair: Pair) -> None:
    before = pair.clones()
    pair.replica.stop(timeout=20)
    assert pair.replica.wait()["StatusCode"] == 0, "it ends when asked to"
    pair.replica.start()
    pair.arrives("after_restart")
    pair.replica.kill()
    pair.replica.start()
    pair.arrives("after_kill")
    until_healthy(pair.replica, "replica")
    assert pair.clones() == before


def test_a_dead_primary_makes_the_replica_unhealthy_and_nothing_else(pair: Pair) -> None:
    before = pair.clones()
    pair.primary.stop(timeout=20)
    until(lambda: health(pair.replica, "replica")[0] == 1, "unhealthy", container=pair.replica)
    assert "receives nothing" in health(pair.replica, "replica")[1], "it says what is missing"
    # Everything comes back in any order: here the replica first.
    already = len(logs(pair.replica))
    pair.replica.restart(timeout=20)
    until_logged(pair.replica, "ready to accept read-only connections", already)
    assert sql(pair.replica, "SELECT to_regclass('streamed') IS NOT NULL") == "t", "reads go on"
    pair.primary.start()
    until_healthy(pair.replica, "replica")
    assert pair.clones() == before, "a primary that was down is still the same one"


def test_no_committed_row_is_lost_with_a_killed_primary(pair: Pair) -> None:
    before = pair.clones()
    sql(pair.primary, "CREATE TABLE written (id integer); GRANT ALL ON written TO dhis")
    script = (
        "umask 077; printf '%s:5432:*:dhis:%s' postgres-primary"
        " \"$(sed 's/[\\\\:]/\\\\&/g' /tmp/secret)\" >/tmp/pass;"
        " seq 1 1000000 | sed 's/.*/INSERT INTO written VALUES (&) RETURNING id;/' |"
        " psql -XAtqw -v ON_ERROR_STOP=1 'host=postgres-primary user=dhis dbname=dhis passfile=/tmp/pass'"
        " >/tmp/acknowledged"
    )
    password = "cat >/tmp/secret <<'END'\n" + shell(pair.primary, f"cat {SECRETS}/app-password")[1]
    shell(pair.replica, password + "\nEND\n")
    pair.replica.exec_run(["sh", "-c", script], detach=True)
    counted = "wc -l </tmp/acknowledged"
    until(lambda: int(shell(pair.replica, counted)[1] or "0") > 300, "rows", container=pair.replica)
    pair.primary.kill()
    until(
        lambda: shell(pair.replica, "ps ax | grep -q '[p]sql -XAtqw'")[0] != 0,
        "the writer's end",
        container=pair.replica,
    )
    acknowledged = {int(line) for line in shell(pair.replica, "cat /tmp/acknowledged")[1].splitlines()}
    pair.primary.start()
    until_healthy(pair.primary, "primary")
    kept = {int(line) for line in sql(pair.primary, "SELECT id FROM written").splitlines()}
    assert len(acknowledged) > 300
    assert acknowledged <= kept, "what was acknowledged is on the disk"
    until_healthy(pair.replica, "replica")
    pair.arrives("after_crash")
    assert pair.clones() == before, "a crash is no reason to clone again"
    assert sql(pair.replica, "SELECT count(*) FROM written") == str(len(kept))


def test_a_missing_slot_is_created_again_while_the_wal_is_there(pair: Pair) -> None:
    before = pair.clones()
    pair.replica.stop(timeout=20)
    sql(pair.primary, "SELECT pg_drop_replication_slot('replica_1')")
    pair.replica.start()
    until_logged(pair.replica, "the slot replica_1 is missing on the primary")
    until_healthy(pair.replica, "replica")
    assert pair.clones() == before


def test_a_replica_away_for_too_long_is_cloned_again_and_the_wal_kept_for_it_is_bounded(pair: Pair) -> None:
    before = pair.clones()
    pair.replica.stop(timeout=20)
    sql(pair.primary, "CREATE TABLE much (filler text)")
    for _ in range(10):
        sql(pair.primary, "INSERT INTO much SELECT repeat('x', 1000) FROM generate_series(1, 25000)")
        sql(pair.primary, "CHECKPOINT")
    size = int(sql(pair.primary, "SELECT sum(size) / 1000000 FROM pg_ls_waldir()").split(".")[0])
    assert size < BOUND_MB, "a replica that is away must not fill the disk"
    pair.replica.start()
    until_logged(pair.replica, "cloning the primary: required WAL segment was removed")
    until_healthy(pair.replica, "replica")
    assert pair.clones() == before + 1
    pair.arrives("after_clone")


def test_a_removed_replica_s_slot_is_dropped(pair: Pair) -> None:
    sql(pair.primary, "SELECT pg_create_physical_replication_slot('replica_9', true)")
    idle = "/var/run/postgresql/idle-slots"
    until(lambda: shell(pair.primary, f"grep -q replica_9 {idle}")[0] == 0, "noticed", container=pair.primary)
    slots = "SELECT string_agg(slot_name, ',') FROM pg_replication_slots"
    assert "replica_9" in sql(pair.primary, slots), "a short absence is none"
    shell(pair.primary, f"echo replica_9 1000 >{idle}")
    until(lambda: sql(pair.primary, slots) == "replica_1", "dropped", container=pair.primary)


def test_a_clone_killed_midway_begins_again(pair: Pair) -> None:
    # Enough to send that the backup can be frozen after its first file; killed only when it is.
    pair.replica.kill()
    sql(pair.primary, "CREATE TABLE big AS SELECT repeat('y', 1000) AS filler FROM generate_series(1, 100000)")
    pair.primary.stop(timeout=20)
    second = pair.databases.replica(pair.containers.volume("second"), "replica-2")
    until_logged(second, "waiting for the primary")
    begun = "until [ -e /var/lib/postgresql/staging/backup_label ]; do :; done"
    second.exec_run(["sh", "-c", f"{begun}; pkill -STOP pg_basebackup && touch /tmp/frozen"], detach=True)
    pair.primary.start()
    until(lambda: shell(second, "ls /tmp/frozen")[0] == 0, "the freeze", container=second)
    assert health(second, "replica") == (1, "replica: the primary is not cloned yet")
    second.kill()
    second.start()
    until_healthy(second, "replica")
    assert sql(second, "SELECT count(*) FROM big") == "100000"
    pair.replica.start()
    until_healthy(pair.replica, "replica")
    pair.containers.remove(second)


def test_a_promoted_replica_is_left_alone(pair: Pair) -> None:
    third = pair.databases.replica(pair.containers.volume("third"), "replica-3")
    until_healthy(third, "replica")
    sql(third, "SELECT pg_promote()")
    assert health(third, "replica")[0] == 1
    third.restart(timeout=20)
    assert "fatal: this replica was promoted" in until_exited(third).splitlines()[-1], (
        "what was written to it is not thrown away"
    )
    pair.containers.remove(third)


def test_a_replica_of_another_primary_is_cloned_again(pair: Pair) -> None:
    # The last of this pair: its primary is replaced.
    before = pair.clones()
    pair.containers.remove(pair.primary)
    until(lambda: health(pair.replica, "replica")[0] == 1, "unhealthy", container=pair.replica)
    pair.primary = pair.databases.primary(pair.containers.volume("another"))
    until_healthy(pair.primary, "primary")
    until_logged(pair.replica, "cloning the primary: the primary is another database (system identifier")
    until_healthy(pair.replica, "replica")
    assert pair.clones() == before + 1
    assert sql(pair.replica, "SELECT to_regclass('streamed') IS NULL") == "t", "nothing of the old one is served"
    pair.arrives("of_the_new_one")


def test_a_primary_replaced_while_the_replica_is_down_is_noticed_at_its_start(pair: Pair) -> None:
    pair.replica.stop(timeout=20)
    pair.containers.remove(pair.primary)
    pair.primary = pair.databases.primary(pair.containers.volume("third-primary"))
    until_healthy(pair.primary, "primary")
    pair.replica.start()
    until_logged(pair.replica, "cloning the primary: the primary is another database")
    until_healthy(pair.replica, "replica")
    assert "of_the_new_one" not in sql(pair.replica, "SELECT string_agg(relname, ',') FROM pg_class")
