"""What `status` reads from the database servers."""

import json
from typing import Any

from cli.deployed import DeployedStack
from cli.parts import Part

# The socket is where the script that starts the server puts it; psql looks elsewhere in some images.
PSQL = ("psql", "-h", "/var/run/postgresql", "-U", "postgres")
DATABASE = "dhis"
READ_APPLICATION = "dhis2-read"  # in the addresses of the replicas in dhis.conf
# Table scans are of DHIS2's own tables: healthchecks read system catalogs only, and nothing else reads from a replica.
# They prove reads, where the transactions of pg_stat_database count healthchecks too.
QUERY = f"""
SELECT json_build_object(
    'version', split_part(current_setting('server_version'), ' ', 1),
    'standby', pg_is_in_recovery(),
    'lsn', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn,
    'state', (SELECT status FROM pg_stat_wal_receiver),
    'lag_seconds', CASE
        WHEN NOT pg_is_in_recovery() THEN NULL
        WHEN pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0
        ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END,
    'sessions', (SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'dhis2%'),
    'read_sessions', (SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = '{READ_APPLICATION}'),
    'last_read_seconds', (SELECT extract(epoch FROM clock_timestamp() - max(query_start)) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = '{READ_APPLICATION}'),
    'table_scans', (SELECT coalesce(sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0)), 0) FROM pg_stat_user_tables))
"""  # noqa: S608 - a constant
QUERY_SECONDS = 10


def query(containers: DeployedStack, part: Part) -> dict[str, Any] | None:
    """Return what a server reports of itself; None where it does not answer in time."""
    command = ["timeout", str(QUERY_SECONDS), *PSQL, "-XAtqw", "-d", DATABASE, "-c", QUERY]
    code, output = containers.execute(part, command)
    if code:
        return None
    try:
        return dict(json.loads(output))
    except ValueError:
        return None
