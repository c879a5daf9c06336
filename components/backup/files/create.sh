# Back the stack up: one snapshot of restic is one set. Sourced by backup.sh.
# shellcheck shell=bash

: "${secrets:?}" "${data:?}" "${files:?}" "${run:?}" "${set:?}" "${unpacked:?}" "${tools:?}"

# What DHIS2 builds again from the rest. Their definitions stay: views may read them.
DERIVED=("analytics" "analytics_*" "_*")

# A snapshot appears in the repository when everything in it is stored, so a run that is killed leaves no set.
create() {
    local all=$1 started id='' derived=() seconds
    lock
    started=$(date +%s)
    # For a day: one that was killed leaves its record.
    [[ -z $(find "$unpacked/restoring" -mmin -1440 2>/dev/null) ]] ||
        fatal 'a restore is running; wait for its end. If it was killed: dhis2-cluster shell backup -- bash /opt/dhis2-cluster/backup.sh discard'
    [[ $all == --all ]] || derived=("${DERIVED[@]/#/--exclude-table-data=}")
    printf 'at=%s\n' "$started" >"$data/running"
    trap record_failure EXIT
    rm -rf "$set" "$unpacked" "$files/.unpacked" # a restore may have been ended while it fetched
    mkdir -p "$set"
    open_repository
    # Locks of processes of this container that were killed.
    restic unlock >/dev/null || :
    [[ ! -e $files/.before ]] ||
        fatal 'the exchange of the files in a restore was cut short, and some are missing. Restore them again: dhis2-cluster restore --files-only'
    connect_to_primary
    check_room "$all"
    log 'backing up the database'
    pg_dump -w -d "$connection" -Fc -Z0 --no-owner --no-acl "${derived[@]}" -f "$set/database.dump" 2>"$run/pg_dump.log" ||
        fatal "pg_dump failed: $(tail -n 3 "$run/pg_dump.log" | tr '\n' ' ')"
    [[ ! -f $secrets/encryption-password ]] || cp "$secrets/encryption-password" "$set"
    # After the database: what its rows refer to is there by then.
    if [[ -n ${BUCKET:-} ]]; then
        log 'storing the database'
        log "uploaded files and apps are in the bucket $BUCKET, and in no backup"
    else
        log 'storing the database and the files'
    fi
    store "$all"
    seconds=$(($(date +%s) - started))
    printf 'at=%s\nset=%s\nseconds=%s\nbytes=%s\n' "$started" "$id" "$seconds" "$(stat -c %s "$set/database.dump")" |
        write_marker "$data/last-backup"
    rm -rf "$set"
    log "the backup $id is complete ($seconds s)"
    clean_up
    rm -f "$data/last-failure" "$data/running" "$run/problem"
    trap - EXIT
    echo "$id"
}

# Note why this run failed; health.sh reports it until a run succeeds.
record_failure() {
    printf 'at=%s\nreason=%s\n' "$(marker_value "$data/running" at)" "${reason:-it was stopped}" | write_marker "$data/last-failure"
    rm -rf "$set" "$data/running"
}

connect_to_primary() {
    printf '*:*:dhis:backup:%s\n' "$(sed 's/[\\:]/\\&/g' "$secrets/backup-role-password")" >"$run/passfile"
    chmod 600 "$run/passfile"
    connection="host=$PRIMARY_HOST port=5432 dbname=dhis user=backup passfile=$run/passfile connect_timeout=10"
    query 'SELECT 1' >/dev/null 2>"$run/pg_dump.log" || fatal "the primary does not answer: $(tail -n 1 "$run/pg_dump.log")"
}

query() { psql -X -A -t -q -w -d "$connection" -c "$1"; }

# Refuse to begin where the dump does not fit: it takes at most what its tables take.
check_room() {
    local needed free pattern='^(analytics$|analytics_|_)'
    [[ $1 != --all ]] || pattern='^$'
    needed=$(query "SELECT coalesce(sum(pg_table_size(oid)), 0) FROM pg_class
        WHERE relkind IN ('r', 'm') AND relname !~ '$pattern' AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)")
    free=$(free_bytes)
    ((free >= needed)) ||
        fatal "a backup may need $((needed / 1000000)) MB, and the disk of Docker Engine has $((free / 1000000)) MB free. Make room: docker system df, docker system prune"
}

# Store the set and the files in one snapshot: `id` of the caller. What restic cannot read makes the set no set.
store() {
    local code=0 paths=("$set") tags=("dhis2-cluster" "version=$DHIS2_VERSION" "image=$DHIS2_IMAGE")
    tags+=("postgresql=$(query 'SHOW server_version' | cut -d ' ' -f 1)")
    tags+=("fingerprint=$(query 'SELECT fingerprint FROM dhis2_cluster.encryption_password LIMIT 1')")
    [[ ! -f $set/encryption-password ]] || tags+=('encryption-password')
    [[ $1 != --all ]] || tags+=('all')
    if [[ -n ${BUCKET:-} ]]; then tags+=("bucket=$BUCKET"); else paths+=("$files"); fi
    RESTIC_PROGRESS_FPS=0.1 restic backup --json --host "$STACK" "${tags[@]/#/--tag=}" --group-by host \
        --exclude "$files/.unpacked" --exclude "$files/.before" "${paths[@]}" >"$run/stored.$$" || code=$?
    id=$(sed -n 's/.*"snapshot_id":"\([0-9a-f]*\)".*/\1/p' "$run/stored.$$")
    rm -f "$run/stored.$$"
    if ((code)); then
        [[ -z $id ]] || "$tools/restic" forget "$id" >/dev/null 2>&1 || :
        fatal "restic could not store everything: $(restic_error)"
    fi
    id=${id:0:8}
}

# Forget the sets that backupKeep does not keep, remove what only they had, and check what is left.
clean_up() {
    local options=() rule
    for rule in ${KEEP:?}; do options+=("--keep-${rule%%=*}" "${rule#*=}"); done
    restic forget --host "$STACK" --tag dhis2-cluster --group-by host --keep-within 2d "${options[@]}" --prune >/dev/null ||
        fatal "the backup is complete, but old ones could not be removed: $(restic_error)"
    restic check >"$run/check.log" ||
        fatal "the repository is damaged: $(restic_error) What to do: dhis2-cluster shell backup, and restic's documentation, Troubleshooting"
    date +%s >"$data/last-check"
    log 'the repository is checked'
}
