"""What runs for a client that has ended, or for one that keeps its transaction open."""

import pytest
from docker.models.containers import Container

from tests.container.databases import APP_PASSWORD, Databases, until_healthy
from tests.support.commands import shell, sql
from tests.support.containers import Containers
from tests.support.project import POSTGRES
from tests.support.waiting import until

pytestmark = pytest.mark.container

RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'dhis' AND state = 'active'"


@pytest.fixture(scope="module")
def primary(containers: Containers, databases: Databases) -> Container:
    container = databases.primary(containers.volume("primary"))
    until_healthy(container, "primary")
    return container


def test_the_query_of_a_client_that_has_ended_is_ended(
    containers: Containers, databases: Databases, primary: Container
) -> None:
    password = "cat >/tmp/pass <<'END'\n*:*:*:*:" + APP_PASSWORD.replace("\\", "\\\\").replace(":", "\\:") + "\nEND\n"
    query = "exec psql -Xw 'host=postgres-primary user=dhis dbname=dhis passfile=/tmp/pass' -c 'SELECT pg_sleep(3600)'"
    client = containers.start(
        POSTGRES,
        entrypoint=["sh", "-c", f"umask 077\n{password}{query}"],
        network=databases.network,
        user="999:999",
    )
    until(lambda: sql(primary, RUNNING) == "1", "the query", container=client)
    client.kill()
    if sql(primary, "SELECT current_setting('server_version_num')::integer >= 140000") == "f":
        pytest.skip("PostgreSQL before 14 notices it only when it sends something")
    until(lambda: sql(primary, RUNNING) == "0", "the end of the query", container=primary)


def test_no_transaction_stays_open_without_a_statement(primary: Container) -> None:
    assert sql(primary, "SHOW idle_in_transaction_session_timeout") == "1h"
    code, output = shell(
        primary,
        "(echo \"SET idle_in_transaction_session_timeout = '1s'; BEGIN; SELECT 1;\"; sleep 3; echo 'SELECT 2;')"
        " | psql -XAtqU postgres -d dhis 2>&1",
    )
    assert code != 0 and "idle-in-transaction timeout" in output


def test_a_statement_of_the_primary_may_take_hours(primary: Container) -> None:
    assert sql(primary, "SHOW statement_timeout") == "0", "an analytics job waits hours for one"
