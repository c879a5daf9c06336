# Fetch a set from the repository for a restore. Sourced by backup.sh.
# shellcheck shell=bash

: "${data:?}" "${run:?}" "${files:?}" "${set:?}" "${unpacked:?}"

unpack() {
    local id=$1 parts=$2 needed free
    lock
    rm -rf "$unpacked" "$files/.unpacked"
    mkdir -p "$unpacked" "$TMPDIR"
    restic stats --json --mode restore-size "$id" >"$run/stats.$$" || fatal "the backup $id cannot be read: $(restic_error)"
    needed=$(sed -n 's/.*"total_size":\([0-9]*\).*/\1/p' "$run/stats.$$")
    free=$(free_bytes)
    ((free >= needed)) ||
        fatal "the backup $id needs $((needed / 1000000)) MB, and the disk of Docker Engine has $((free / 1000000)) MB free; nothing was changed. Make room: docker system df, docker system prune"
    if [[ $parts != files ]]; then
        log 'fetching the database'
        restic restore "$id:$set" --target "$unpacked" >/dev/null || fatal "the database of the backup $id cannot be fetched: $(restic_error)"
        describe "$unpacked/database.dump"
    fi
    if [[ $parts != database ]]; then
        log 'fetching the files'
        mkdir -p "$files/.unpacked"
        restic restore "$id:$files" --target "$files/.unpacked" >/dev/null || fatal "the files of the backup $id cannot be fetched: $(restic_error)"
    fi
    printf 'set=%s\nparts=%s\n' "$id" "$parts" | write_marker "$unpacked/complete"
}

# Keep backups away until the set is discarded: between database and files the stack is no moment of its own.
begin_restore() {
    lock
    [[ -f $unpacked/complete ]] || fatal 'a backup has removed what was fetched; nothing was changed. Restore again'
    : >"$unpacked/restoring"
}

# Checksum and sizes of a dump, as fetch-dump.sh leaves them beside it.
describe() {
    local bytes
    bytes=$(stat -c %s "$1")
    printf '%s %s %s\n' "$(sha256sum "$1" | cut -d ' ' -f 1)" "$bytes" "$bytes" >"$1.sha256"
}

# All by renames within the volume. Where it is killed, the same restore again puts it in order.
exchange_files() {
    [[ -d $files/.unpacked ]] || fatal 'no files are unpacked'
    mkdir -p "$files/.before"
    find "$files" -mindepth 1 -maxdepth 1 ! -name .unpacked ! -name .before -exec mv -t "$files/.before" {} +
    find "$files/.unpacked" -mindepth 1 -maxdepth 1 -exec mv -t "$files" {} +
    rm -rf "$files/.before" "$files/.unpacked"
}
