#!/bin/sh
# Health check: health.sh primary|replica. Silent when healthy, else one line that says what is missing.
# By TCP, which opens only when the database is loaded, and with the least privileged role there is.
set -eu

role=$1

sick() {
    echo "$role: $*"
    exit 1
}

ask() {
    psql -X -A -t -q -w -d "host=127.0.0.1 port=5432 user=monitor dbname=$1 connect_timeout=3" -c "$2" 2>&1
}

command -v psql >/dev/null 2>&1 || PATH="$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')"

case $role in
primary)
    [ -f /var/lib/postgresql/seeded ] || sick 'the database is not loaded yet'
    answer=$(ask dhis 'SELECT pg_is_in_recovery()') || sick "does not answer: $answer"
    [ "$answer" = f ] || sick 'the server is in recovery'
    ;;
replica)
    [ -f /var/lib/postgresql/cloned ] || sick 'the primary is not cloned yet'
    # A server streams only from a primary with its own system identifier. The time tells a dead connection.
    answer=$(ask dhis "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 'is no replica any more' ELSE coalesce((
        SELECT 'ok' FROM pg_stat_wal_receiver
        WHERE status = 'streaming' AND last_msg_receipt_time > now() - interval '30 s'),
        'receives nothing from its primary') END") || sick "does not answer: $answer"
    [ "$answer" = ok ] || sick "$answer"
    ;;
*) sick 'health.sh knows primary and replica' ;;
esac
