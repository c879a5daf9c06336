# How a standby finds out, by SQL and replication commands alone, that it can never stream from its primary again.
# Sourced by database.sh.
# shellcheck shell=bash

: "${cluster:?}" "${cloned:?}" "${connection?}" "${slot?}"

# Ask the primary over the replication protocol.
replication_command() {
    psql -X -q -A -t -w -F ' ' -d "$connection dbname=replication replication=true" -c "$1" 2>&1
}

# Ask the primary what the replication protocol has no command for, with the same role.
primary_sql() {
    psql -X -q -A -t -w -v ON_ERROR_STOP=1 -d "$connection dbname=postgres" -c "$1" 2>/dev/null
}

# Print why the primary must be cloned again; nothing when this standby can stream. False when the primary does not answer.
must_reclone() {
    local own_system own_timeline own_lsn replayed='' starts='' received='' identity system timeline lsn fork
    own_system=$(marker_value "$cloned" system_identifier)
    read -r own_timeline own_lsn < <(control_position)
    # Before the primary is asked: a moment later this standby may have more.
    { read -r replayed && read -r received && read -r starts || :; } < <(standby_position)
    identity=$(replication_command IDENTIFY_SYSTEM) || return 1
    read -r system timeline lsn _ <<<"$identity"
    if [[ $system != "$own_system" ]]; then
        echo "the primary is another database (system identifier $system, not $own_system)"
    elif [[ $(slot_status) == lost ]]; then
        echo "required WAL segment was removed: the slot $slot is lost"
    elif ((timeline < own_timeline)); then
        echo "the primary is restored from an older backup: it is on timeline $timeline, this standby on $own_timeline"
    elif is_before "$lsn" "${received:-$own_lsn}"; then
        echo "the primary is behind this standby ($lsn, not ${received:-$own_lsn}): it is restored from an older backup"
    elif ((timeline > own_timeline)) && fork=$(end_of_timeline "$own_timeline" "$timeline") && is_before "$fork" "$own_lsn"; then
        echo "the primary is restored from an older backup: its timeline $timeline begins at $fork, this standby is at $own_lsn"
    elif [[ -n $replayed && $(other_starts "$replayed" "$starts") == t ]]; then
        echo "the primary is restored from an older backup: its starts are not those this standby has up to $replayed"
    fi
}

# The timeline and LSN the data directory has reached for certain, whether the server runs or not.
control_position() {
    pg_controldata -D "$cluster" | awk -F ': +' '
        /^Latest checkpoint location:/ { lsn = $2 }
        /^Latest checkpoint.s TimeLineID:/ { timeline = $2 }
        /^Minimum recovery ending location:/ && $2 !~ /^0\/0+$/ { reached = $2 }
        /^Min recovery ending loc.s timeline:/ && reached { timeline = $2; lsn = reached }
        END { print timeline, lsn }'
}

# The LSN replayed, the LSN received, and the starts of the primary that are known at that LSN; nothing without a server.
standby_position() {
    sql postgres -c 'SELECT pg_last_wal_replay_lsn()' \
        -c 'SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())' \
        -c "SELECT string_agg(id::text, ',') FROM server_starts" 2>/dev/null || :
}

# What the primary reports of this standby's slot: missing, lost, or another state.
slot_status() {
    primary_sql "SELECT coalesce((SELECT coalesce(to_jsonb(s) ->> 'wal_status', 'reserved')
        FROM pg_replication_slots s WHERE slot_name = '$slot'), 'missing')"
}

# The LSN at which a timeline ends in the history of a later one; 0/0 when it is not part of it.
end_of_timeline() {
    replication_command "TIMELINE_HISTORY $2" |
        awk -v timeline="$1" '{ sub(/^[0-9A-F]+[.]history /, "") } $1 == timeline { lsn = $2 } END { print lsn ? lsn : "0/0" }'
}

# Whether the primary and this standby, at an LSN and with the starts it knows, have another past (see record-start.sql).
other_starts() {
    primary_sql "SELECT EXISTS (SELECT FROM unnest('{$2}'::uuid[]) own WHERE own NOT IN (SELECT id FROM server_starts))
        OR EXISTS (SELECT FROM server_starts WHERE lsn <= '$1' AND id <> ALL ('{$2}'::uuid[]))"
}

# Whether the primary has no more WAL from an LSN on. A segment has 16 MB.
wal_removed() {
    primary_sql "SELECT '$1'::pg_lsn < min(substr(name, 9, 8) || '/' || substr(name, 23, 2) || '000000')::pg_lsn
        FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'"
}

# Whether an LSN is before another.
is_before() {
    (((16#${1%/*} << 32 | 16#${1#*/}) < (16#${2%/*} << 32 | 16#${2#*/})))
}
