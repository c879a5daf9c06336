#!/bin/sh
# Health check: health.sh primary|replica. Silent when healthy, else one line that says what is missing.
# By TCP, which opens only when the database is restored, and with the least privileged role there is.
set -eu

role=$1
waiting=/var/run/postgresql/waiting-wal # when a replica had received which WAL

unhealthy() {
    echo "$role: $*"
    exit 1
}

# Print the answer, one line, or the error. A server may warn of a collation version at each connection.
query() {
    if output=$(psql -X -A -t -q -w -d "host=127.0.0.1 port=5432 user=monitor dbname=$1 connect_timeout=3" -c "$2" 2>&1); then
        printf '%s\n' "$output" | tail -n 1
    else
        echo "$output" && return 1
    fi
}

# How long WAL that a replica has received waits for its replay. The time of the last transaction that was replayed does
# not tell: it is old when the primary writes nothing.
check_lag() {
    since=0 lsn=0/0
    [ ! -s "$waiting" ] || read -r since lsn <"$waiting"
    answer=$(query dhis "SELECT replayed >= least(received, '$lsn'), greatest(received, replayed), (received - replayed) / 1000000, CASE
            WHEN pg_is_wal_replay_paused() THEN 'replay is paused; resume it: SELECT pg_wal_replay_resume()'
            WHEN EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup'
                AND (wait_event_type IN ('Lock', 'BufferPin') OR wait_event LIKE 'RecoveryConflict%'))
            THEN 'replay waits for a query, which is ended after ' || current_setting('max_standby_streaming_delay')
            ELSE 'more WAL arrives than is replayed' END
        FROM (SELECT pg_last_wal_receive_lsn() AS received, pg_last_wal_replay_lsn() AS replayed) positions") ||
        unhealthy "does not answer: $answer"
    IFS='|' read -r caught_up received megabytes reason <<ANSWER
$answer
ANSWER
    now=$(date +%s)
    if [ "$caught_up" != f ]; then
        echo "$now $received" >"$waiting.$$" && mv "$waiting.$$" "$waiting"
    elif [ $((now - since)) -gt 60 ]; then
        unhealthy "is ${megabytes%.*} MB and $((now - since)) s behind its primary: $reason"
    fi
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
    answer=$(query dhis "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 'is no standby any more'
        WHEN NOT EXISTS (SELECT FROM pg_stat_wal_receiver
            WHERE status = 'streaming' AND last_msg_receipt_time > now() - interval '30 s')
        THEN 'receives nothing from its primary'
        WHEN EXISTS (SELECT FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r')
        THEN 'has unlogged tables, which cannot be read here until the primary has made them logged'
        ELSE 'ok' END") || unhealthy "does not answer: $answer"
    [ "$answer" = ok ] || unhealthy "$answer"
    check_lag
    ;;
*) unhealthy 'health.sh knows primary and replica' ;;
esac
