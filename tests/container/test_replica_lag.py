"""A replica that receives WAL and does not replay it: the wait is bounded, named and no false alarm."""

import re

import pytest
from docker.models.containers import Container

from components.orchestrator.container_paths import FILES
from tests.container.databases import health, until_healthy
from tests.container.replication import Pair
from tests.support.archive import packed
from tests.support.commands import logs, shell, sql, try_sql
from tests.support.containers import Containers
from tests.support.waiting import until, until_logged

pytestmark = [pytest.mark.container, pytest.mark.scenario]

WAITING = "/var/run/postgresql/waiting-wal"
WAL_BOUND_MB = 200  # the pair's max_wal_size is 48 MB
LAG = r"replica: is (\d+) MB and (\d+) s behind its primary: "
REPLAYED = "SELECT pg_last_wal_replay_lsn() >= '{}'"


@pytest.fixture(scope="module")
def pair(containers: Containers) -> Pair:
    return Pair(containers, "lag")


def reader(replica: Container, table: str) -> None:
    """Start a session that has read a table and keeps its transaction open."""
    script = f"(echo 'BEGIN; TABLE {table};'; sleep 600) | psql -XAtqU postgres -d dhis >/tmp/read 2>&1"
    replica.exec_run(["sh", "-c", script], detach=True)
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
    until(lambda: sql(replica, idle) == "1", "the reader's lock", container=replica)


def write(primary: Container, megabytes: int) -> str:
    """Write about so many MB of WAL and return its end."""
    sql(primary, "CREATE TABLE IF NOT EXISTS filler (t text)")
    insert = "INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, {}); TRUNCATE filler"
    sql(primary, insert.format(megabytes * 900))
    return sql(primary, "SELECT pg_current_wal_flush_lsn()")


def wait_a_minute_more(replica: Container) -> None:
    """Make what waits for its replay a minute older."""
    assert health(replica, "replica")[0] == 0, "a moment is no lag"
    shell(replica, f"read since lsn <{WAITING} && echo $((since - 61)) $lsn >{WAITING}")


def replayed(pair: Pair, lsn: str) -> None:
    """Wait until the replica has replayed all up to an LSN."""
    until(lambda: sql(pair.replica, REPLAYED.format(lsn)) == "t", "the replay", container=pair.replica)


def test_a_replica_whose_primary_writes_nothing_stays_healthy(pair: Pair) -> None:
    until_healthy(pair.replica, "replica")
    for _ in range(3):
        wait_a_minute_more(pair.replica)
    assert health(pair.replica, "replica") == (0, ""), "all that was received is replayed, however long ago"


def test_a_paused_replay_is_unhealthy_with_the_lag_named(pair: Pair) -> None:
    sql(pair.replica, "SELECT pg_wal_replay_pause()")
    assert health(pair.replica, "replica") == (0, ""), "a pause behind which nothing waits"
    lsn = write(pair.primary, 20)
    until(
        lambda: sql(pair.replica, f"SELECT pg_last_wal_receive_lsn() >= '{lsn}'") == "t",
        "the WAL",
        container=pair.replica,
    )
    wait_a_minute_more(pair.replica)
    code, line = health(pair.replica, "replica")
    assert code == 1
    found = re.match(LAG + "replay is paused; resume it: SELECT pg_wal_replay_resume", line)
    assert found, line
    assert int(found[1]) >= 15, "MB"
    assert int(found[2]) > 60, "seconds"
    sql(pair.replica, "SELECT pg_wal_replay_resume()")
    replayed(pair, lsn)
    assert health(pair.replica, "replica") == (0, "")


def test_a_pause_ends_before_it_fills_the_disk(pair: Pair) -> None:
    sql(pair.replica, "SELECT pg_wal_replay_pause()")
    lsn = write(pair.primary, 80)
    until_logged(pair.replica, "more WAL than max_wal_size waits for its replay; ended: the pause")
    replayed(pair, lsn)
    for server in (pair.primary, pair.replica):
        sql(server, "CHECKPOINT")
        size = float(sql(server, "SELECT sum(size) / 1000000 FROM pg_ls_waldir()"))
        assert size < WAL_BOUND_MB, "pg_wal is bounded"


def test_a_reader_that_holds_a_lock_is_named_and_ended_before_the_wal_fills_the_disk(pair: Pair) -> None:
    pair.arrives("held")
    reader(pair.replica, "held")
    sql(pair.primary, "DROP TABLE held")
    write(pair.primary, 20)
    startup = "SELECT wait_event_type FROM pg_stat_activity WHERE backend_type = 'startup'"
    until(lambda: sql(pair.replica, startup) == "Lock", "the replay's wait", container=pair.replica)
    wait_a_minute_more(pair.replica)
    code, line = health(pair.replica, "replica")
    assert code == 1
    assert re.match(LAG + "replay waits for a query, which is ended after 5min", line), line
    lsn = write(pair.primary, 60)
    until_logged(pair.replica, "more WAL than max_wal_size waits for its replay; ended: the query of postgres, process")
    replayed(pair, lsn)
    assert health(pair.replica, "replica") == (0, "")


def test_a_query_in_conflict_with_replay_is_ended_after_the_delay(pair: Pair) -> None:
    assert sql(pair.replica, "SHOW max_standby_streaming_delay") == "5min", "analytics queries take minutes"
    assert sql(pair.replica, "SHOW max_standby_archive_delay") == "5min"
    path = f"{FILES}/postgresql.conf"
    pair.replica.put_archive("/", packed({path: pair.databases.conf() + "max_standby_streaming_delay = 2s\n"}))
    pair.replica.restart(timeout=20)
    until_healthy(pair.replica, "replica")
    pair.arrives("held_again")
    reader(pair.replica, "held_again")
    sql(pair.primary, "DROP TABLE held_again")
    replayed(pair, sql(pair.primary, "SELECT pg_current_wal_flush_lsn()"))
    assert "conflict with recovery" in logs(pair.replica)


def test_tables_that_are_unlogged_are_made_logged_while_there_is_a_replica(pair: Pair) -> None:
    pair.replica.stop(timeout=20)
    # As DHIS2 has left them which ran analytics without a replica.
    sql(
        pair.primary,
        "SET ROLE dhis; CREATE UNLOGGED TABLE analytics_parent (id serial PRIMARY KEY);"
        "CREATE UNLOGGED TABLE analytics (id integer REFERENCES analytics_parent);"
        "INSERT INTO analytics_parent DEFAULT VALUES; INSERT INTO analytics VALUES (1)",
    )
    pair.replica.start()
    until_logged(pair.primary, "making unlogged tables logged, which a replica cannot read: ")
    until_healthy(pair.replica, "replica")
    assert sql(pair.replica, "SELECT count(*) FROM analytics JOIN analytics_parent USING (id)") == "1"
    assert sql(pair.primary, "SELECT count(*) FROM pg_class WHERE relpersistence = 'u'") == "0"
    sql(pair.primary, "CREATE UNLOGGED TABLE another (id integer)")
    until(lambda: try_sql(pair.replica, "TABLE another")[0] == 0, "the other table", container=pair.replica)


def test_a_replica_with_unlogged_tables_is_unhealthy_until_they_are_logged(containers: Containers) -> None:
    pair = Pair(containers, "unlogged")
    # A lock that keeps the primary from it.
    script = "(echo 'CREATE UNLOGGED TABLE busy (id integer); BEGIN; LOCK TABLE busy;'; until [ -e /tmp/go ]; do sleep 0.1; done) | psql -XqU postgres -d dhis"
    pair.primary.exec_run(["sh", "-c", script], detach=True)
    until_logged(pair.primary, "a table stays unlogged until the next try: ")
    code, line = health(pair.replica, "replica")
    assert code == 1
    assert "has unlogged tables, which cannot be read here until the primary has made them logged" in line
    shell(pair.primary, "touch /tmp/go")
    until_healthy(pair.replica, "replica")
    assert sql(pair.replica, "SELECT count(*) FROM busy") == "0"
