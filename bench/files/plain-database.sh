#!/bin/sh
# A database as images with an initdb.d folder make it: default settings, a temporary server, the dump through psql,
# then the final server. TCP shows the end: only the final server listens there.
set -eu

initdb -D "$PGDATA" -U postgres -A trust >/dev/null
pg_ctl -D "$PGDATA" -s -w -o "-c listen_addresses=''" start >/dev/null
createdb -U postgres dhis
echo 'loading the dump' >&2
gunzip -c /dump/dump.sql.gz | psql -q -U postgres -d dhis >/dev/null
echo 'stopping the temporary server' >&2
pg_ctl -D "$PGDATA" -s -w -m fast stop
exec postgres -D "$PGDATA" -c listen_addresses='*'
