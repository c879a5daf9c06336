"""Which database server a core reads from: DHIS2's answers name none, so what runs on the servers is read."""

from collections.abc import Callable, Mapping

from docker.models.containers import Container

from tests.support.commands import sql, try_sql
from tests.support.http import Answer

OK = 200
NONE = "none"  # the read failed
ATTEMPTS = 10


def server_read_by(
    core: Container, read: Callable[[], Answer], servers: Mapping[str, Container], database: str = "dhis"
) -> str:
    """Return the name of the server that a read of data elements by a core was sent to, NONE when the read failed.

    `servers` has the containers of the primary and the replicas. Nothing else may read data elements at the same core
    meanwhile. A core that reads from the primary has its jobs on the same connections: when one has run a statement
    there before pg_stat_activity was read, the read is repeated.
    """
    core.reload()
    networks = core.attrs["NetworkSettings"]["Networks"].values()
    addresses = ", ".join(f"'{network['IPAddress']}'" for network in networks)
    for _ in range(ATTEMPTS):
        since = sql(next(iter(servers.values())), "SELECT clock_timestamp()", database)
        if read().status != OK:
            return NONE
        query = (
            f"SELECT count(*) FROM pg_stat_activity WHERE query ILIKE '%dataelement%' AND query_start > '{since}'"  # noqa: S608 - our own values
            f" AND datname = current_database() AND host(client_addr) IN ({addresses})"
        )
        counts = {name: try_sql(server, query, database) for name, server in servers.items()}
        readers = [name for name, (code, count) in counts.items() if code == 0 and count != "0"]
        if readers:
            break
    assert len(readers) == 1, f"one server should have run the read's statement: {counts}"
    return readers[0]
