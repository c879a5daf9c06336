# A replica: cloned from its primary, then served as a standby and watched; cloned again when it can never stream again.
# Sourced by database.sh.
# shellcheck shell=bash

: "${secrets:?}" "${data:?}" "${cluster:?}" "${staging:?}" "${run:?}"

cloned=$data/cloned # the marker
passfile=/tmp/replication.passfile
host=''
slot=''
connection=''

replica() {
    local name=${REPLICA_NAME:?} reason
    host=${PRIMARY_HOST:?}
    slot=${name//-/_}
    connection="host=$host port=5432 user=replicator passfile=$passfile application_name=$name connect_timeout=5"
    # A colon or backslash of the password is escaped: that is how a passfile has them.
    printf '%s:5432:*:replicator:%s\n' "$host" "$(sed 's/[\\:]/\\&/g' "$secrets/replication-password")" >"$passfile"
    reason=$(why_clone) || exit 1
    while :; do
        [[ -z $reason ]] || clone "$reason"
        rm -rf "$staging"
        run_standby
        ! stop_requested || return 0
        reason=$(cat "$run/must-reclone")
    done
}

# Print why the primary is to be cloned before a server can be started; nothing when there is one to start.
why_clone() {
    if [[ ! -f $cloned ]]; then
        if [[ -e $cluster ]]; then echo 'the last clone was not finished'; else echo 'the first start'; fi
    elif [[ $(cat "$cluster/PG_VERSION") != "${major:?}" ]]; then
        echo "the clone was made by PostgreSQL $(cat "$cluster/PG_VERSION"), this is $major"
    elif [[ ! -f $cluster/standby.signal ]]; then
        fatal "this replica was promoted and is a database of its own now; nothing was changed. Save what is in it, then remove its volume and deploy again: pulumi up --refresh"
    else
        must_reclone || :
    fi
}

clone() {
    local failures=0
    log "cloning the primary: $1"
    rm -f "$cloned"
    rm -rf "$cluster" "$staging"
    until try_clone; do
        failures=$((failures + 1))
        ((failures < 10)) || fatal "the primary could not be cloned: $reason. See why in its log, then: pulumi up --refresh"
        log "cloning failed, trying again: $reason"
        sleep 3
    done
    mv "$staging" "$cluster"
    printf 'system_identifier=%s\nprimary=%s\n' "$system" "$host" | write_marker "$cloned"
    log 'the clone is complete'
}

# One base backup into the staging folder; on failure `reason` is what the server or pg_basebackup reported.
try_clone() {
    local waited=0 identity
    rm -rf "$staging"
    until identity=$(replication_command IDENTIFY_SYSTEM); do
        if pg_isready -q -h "$host" -t 5; then
            reason=$identity
            return 1
        fi
        ((waited % 10)) || log "waiting for the primary $host"
        sleep 1
        waited=$((waited + 1))
    done
    system=${identity%% *}
    # A slot once used may have moved past what a new clone needs: always a new one.
    if [[ $(primary_sql "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '$slot'") != 0 ]]; then
        reason=$(replication_command "DROP_REPLICATION_SLOT $slot") || return 1
    fi
    reason=$(create_slot) || return 1
    pg_basebackup -d "$connection" -w -D "$staging" -S "$slot" -X stream -c fast -P 2>&1 | report_backup || {
        reason=$(cat "$run/backup-error")
        return 1
    }
    : >"$staging/standby.signal"
    sync "$staging/standby.signal" "$staging" # the rest has reached the disk
}

create_slot() {
    replication_command "CREATE_REPLICATION_SLOT $slot PHYSICAL RESERVE_WAL"
}

# pg_basebackup reports each second: log a line every five, and keep its last error.
report_backup() {
    local line now next=0
    : >"$run/backup-error"
    while IFS= read -r line; do
        case $line in
        *%*)
            now=$(date +%s)
            ((now >= next)) || continue
            next=$((now + 5))
            line=${line%\%*} && log "base backup ${line##*(} %"
            ;;
        *error*) printf '%s\n' "$line" >"$run/backup-error" ;;
        esac
    done
}

# Serve until the container is to stop, or until the primary must be cloned again: the reason is in $run/must-reclone.
run_standby() {
    local code=0 watcher
    write_configuration
    rm -f "$run/must-reclone" "$run/waiting-wal"
    serve "$cluster" -c primary_conninfo="$connection" -c primary_slot_name="$slot" &
    server=$!
    log "PostgreSQL $major runs as standby of $host"
    watch_primary &
    watcher=$!
    wait_for "$server" || code=$?
    kill "$watcher" 2>/dev/null || :
    server=
    ! stop_requested || return 0
    [[ -s $run/must-reclone ]] || must_reclone >"$run/must-reclone"
    [[ -s $run/must-reclone ]] || fatal "the server ended by itself ($code); its last lines above say why"
}

# End what replay waits for when more WAL than max_wal_size waits: a pause, which would end with a full disk, or queries.
bound_waiting_wal() {
    local ended
    ended=$(sql postgres -c "WITH replay AS (
            SELECT pg_is_wal_replay_paused() AS paused, EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup'
                AND (wait_event_type IN ('Lock', 'BufferPin') OR wait_event LIKE 'RecoveryConflict%')) AS blocked
            WHERE pg_last_wal_receive_lsn() - pg_last_wal_replay_lsn() > pg_size_bytes(current_setting('max_wal_size')))
        SELECT 'the pause', pg_wal_replay_resume()::text FROM replay WHERE paused
        UNION ALL SELECT 'the query of ' || usename || ', process ' || pid, pg_terminate_backend(pid)::text
        FROM replay, pg_stat_activity WHERE blocked AND backend_type = 'client backend' AND xact_start < now() - interval '5 s'") || return
    [[ -z $ended ]] || log "more WAL than max_wal_size waits for its replay; ended: $(cut -d '|' -f 1 <<<"$ended" | paste -s -d ';')"
}

# Every five seconds: whether this standby can still stream. One that does is checked when it begins to.
watch_primary() {
    local receiver checked='' reason lsn previous='' created='' waits=0
    while sleep 5; do
        bound_waiting_wal || :
        receiver=$(sql postgres -c "SELECT pid FROM pg_stat_wal_receiver WHERE status = 'streaming'" 2>/dev/null) || receiver=
        [[ -z $receiver || $receiver != "$checked" ]] || continue
        reason=$(must_reclone) || continue
        checked=$receiver
        if [[ -n $receiver ]]; then
            created=
        elif [[ $(slot_status) == missing ]]; then
            log "the slot $slot is missing on the primary; creating it again"
            create_slot >/dev/null && created=1 waits=0
        elif [[ -n $created ]]; then
            # What the new slot does not hold may have been removed. First this standby replays all it has.
            lsn=$(sql postgres -c 'SELECT pg_last_wal_replay_lsn()' 2>/dev/null) || continue
            if [[ $lsn == "$previous" ]]; then waits=$((waits + 1)); else waits=0; fi
            previous=$lsn
            ((waits < 2)) || [[ $(wal_removed "$lsn") != t ]] || reason="required WAL segment was removed (at $lsn)"
        fi
        [[ -n $reason ]] || continue
        echo "$reason" >"$run/must-reclone"
        kill -INT "$server"
        return
    done
}
