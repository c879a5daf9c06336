#!/bin/sh
# Health check: health.sh primary|replica. Silent when healthy, else one line that says what is missing.
# By TCP, which opens only when the database is restored, and with the least privileged role there is.
set -eu

role=$1

unhealthy() {
    echo "$role: $*"
    exit 1
}

query() {
    psql -X -A -t -q -w -d "host=127.0.0.1 port=5432 user=monitor dbname=$1 connect_timeout=3" -c "$2" 2>&1
}

command -v psql >/dev/null 2>&1 || PATH="$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')"

case $role in
primary)
    [ -f /var/lib/postgresql/restored ] || unhealthy 'the database is not restored yet'
    [ -f /var/run/postgresql/ready ] || unhealthy 'the server is starting'
    answer=$(query dhis 'SELECT pg_is_in_recovery()') || unhealthy "does not answer: $answer"
    [ "$answer" = f ] || unhealthy 'the server is in recovery'
    ;;
replica)
    [ -f /var/lib/postgresql/cloned ] || unhealthy 'the primary is not cloned yet'
    # A server streams only from a primary with its own system identifier. The time reveals a dead connection.
    answer=$(query dhis "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 'is no standby any more' ELSE coalesce((
        SELECT 'ok' FROM pg_stat_wal_receiver
        WHERE status = 'streaming' AND last_msg_receipt_time > now() - interval '30 s'),
        'receives nothing from its primary') END") || unhealthy "does not answer: $answer"
    [ "$answer" = ok ] || unhealthy "$answer"
    ;;
*) unhealthy 'health.sh knows primary and replica' ;;
esac
