#!/bin/bash
# The databases of a swarm, where a volume stays on its node: the primary moves to the node of a replica and takes that
# one's volume over, and a replica takes the volume that the primary has left.
#   role-change.sh start primary|replica   the container's command: makes the volume one of that role, then database.sh
#   role-change.sh position                beside a replica: prints the LSN up to which it has WAL; fails where it does
#                                          not stream
#   role-change.sh allow [LSN]             beside a replica: the next start as primary promotes it. With an LSN only where the
#                                          last record of WAL, behind that, is the checkpoint of a primary that was shut down
set -Eeuo pipefail
umask 077

# shellcheck source=components/database/files/environment.sh
source /opt/dhis2-cluster/environment.sh
cluster=$data/cluster
staging=$data/staging
promotion=$data/promotion # the marker of the primary before; with it, and only then, a replica is promoted
shutdown_seconds=20       # in which a replica has received what its primary wrote last

# Start as a role. Another container may still end on this volume.
start() {
    check_folders
    exec 9>>"$data/in-use"
    flock -n 9 || log 'waiting for another database that works on this volume'
    until flock -w 1 9; do :; done  # a signal is handled in between
    rm -f "$cluster/postmaster.pid" # as in database.sh
    "become_$1"
    ! stop_requested || exit 143
    exec /bin/bash "$home/database.sh" "$1"
}

# Promote a replica where that is allowed. Where this is killed the next start goes on: only the marker, written last, makes
# the volume one of a primary.
become_primary() {
    local cloned=$data/cloned
    if [[ -f $restored ]]; then
        rm -f "$cloned" "$promotion" "$promotion.prepared"
        return
    fi
    [[ -f $cloned ]] || return 0
    [[ -f $promotion ]] ||
        fatal "this volume has a replica that was not promoted; nothing was changed. Set the node that has the primary's volume: pulumi config set primaryNode …. Where that database is not needed, remove this volume here: docker volume rm"
    [[ ! -f $cluster/standby.signal ]] || promote
    ! stop_requested || return 0
    complete_marker <"$promotion" | write_marker "$restored"
    rm -f "$cloned" "$promotion"
    log 'this replica is promoted: it is the primary now'
}

# Where the primary could not be asked for its marker, the database was restored when it got its system identifier: the upper
# half of that is the time.
complete_marker() {
    local text
    text=$(cat)
    printf '%s\n' "$text"
    [[ $text == *restored_at=* ]] || printf 'restored_at=%s\n' $(($(controlled 'Database system identifier') >> 32))
}

# Replay all WAL there is, and begin another timeline. Nothing connects meanwhile.
promote() {
    local code=0
    log 'promoting this replica'
    write_configuration
    serve "$cluster" -c listen_addresses='' -c primary_conninfo='' -c primary_slot_name='' &
    server=$!
    until stop_requested || [[ $(sql postgres -c 'SELECT pg_is_in_recovery()' 2>/dev/null) == f ]]; do
        kill -0 "$server" 2>/dev/null || break
        sql postgres -c 'SELECT pg_promote(false)' >/dev/null 2>&1 || :
        sleep 0.2
    done
    kill -INT "$server" 2>/dev/null || :
    wait_for "$server" || code=$?
    server=
    stop_requested || [[ ! -f $cluster/standby.signal ]] ||
        fatal "the replica could not be promoted ($code); the last lines above say why, and the next start tries again"
}

# Let the volume of a former primary follow the new one. Where it has WAL that the new one has not, that one is cloned.
become_replica() {
    rm -f "$promotion" "$promotion.prepared"
    [[ -f $restored ]] || return 0
    # shellcheck source=components/database/files/replica.sh
    source "$home/replica.sh"
    # shellcheck source=components/database/files/standby-checks.sh
    source "$home/standby-checks.sh"
    local own system identity timeline waited=0
    host=${PRIMARY_HOST:?}
    printf '%s:5432:*:replicator:%s\n' "$host" "$(sed 's/[\\:]/\\&/g' "$secrets/replication-password")" >"${passfile:?}"
    connection="host=$host port=5432 user=replicator passfile=$passfile connect_timeout=5"
    own=$(controlled 'Database system identifier')
    until identity=$(replication_command IDENTIFY_SYSTEM); do
        ((waited % 10)) || log "waiting for the primary $host"
        sleep 1
        waited=$((waited + 1))
    done
    read -r system timeline _ <<<"$identity"
    [[ $system == "$own" ]] ||
        fatal "this volume has a primary, and $host is another database; nothing was changed. Where it is not needed, remove this volume here: docker volume rm"
    if [[ $(controlled 'Database cluster state') == 'shut down' ]] && precedes "$timeline"; then
        log 'the primary that was here becomes a replica'
        : >"$cluster/standby.signal"
        sync "$cluster/standby.signal" "$cluster"
        printf 'system_identifier=%s\nprimary=%s\n' "$own" "$host" | write_marker "$cloned"
    else
        log 'the primary that was here has WAL that the new one has not, or was not shut down'
        rm -f "$cloned"
    fi
    rm -f "$restored"
}

# Whether a later timeline of the primary begins behind all WAL of this data directory, which was shut down.
precedes() {
    local own_timeline own_lsn fork
    read -r own_timeline own_lsn < <(control_position)
    fork=$(end_of_timeline "$own_timeline" "$1")
    is_before "$own_lsn" "$fork"
}

# A value that pg_controldata prints.
controlled() {
    pg_controldata -D "$cluster" | sed -n "s/^$1: *//p"
}

position() {
    local lsn
    lsn=$(sql postgres -c "SELECT pg_last_wal_receive_lsn() FROM pg_stat_wal_receiver WHERE status = 'streaming'")
    [[ -n $lsn ]] || fatal 'the replica does not stream from its primary'
    printf '%s\n' "$lsn"
}

allow() {
    local lsn=${1:-} waited=0
    [[ -n $lsn || ! -f $promotion ]] || return 0
    [[ -f $data/cloned && -f $promotion.prepared ]] || fatal 'this volume has no replica to promote'
    until [[ -z $lsn || $(last_record "$lsn") == *CHECKPOINT_SHUTDOWN* ]]; do
        ((waited < shutdown_seconds)) ||
            fatal 'the replica has not received all that its primary wrote before it was shut down'
        sleep 1
        waited=$((waited + 1))
    done
    sync "$promotion.prepared"
    mv "$promotion.prepared" "$promotion"
    sync "$data"
}

# The last record of WAL behind an LSN. Its end is an error to pg_waldump.
last_record() {
    local timeline
    timeline=$(sql postgres -c "SELECT max(left(name, 8)) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'")
    pg_waldump -p "$cluster/pg_wal" -t $((16#$timeline)) -s "$1" 2>/dev/null | tail -n 1 || :
}

trap stop TERM INT
trap 'log "${BASH_SOURCE[0]##*/}, line $LINENO failed: $BASH_COMMAND"' ERR
find_binaries
case ${1:-} in
start) start "$2" ;;
position) position ;;
allow) allow "${2:-}" ;;
*) fatal 'role-change.sh has the commands start, position and allow' ;;
esac
