# A dump is restored once per machine: its data directory is kept in the dump cache, as it is before any password of a stack
# is in it, and the next restore of the dump starts from that copy. Sourced by database.sh.
# shellcheck shell=bash

: "${home:?}" "${staging:?}" "${work:?}" "${warnings:?}"

cache=/dumps
# shellcheck source=components/database/files/dump-cache.sh
source "$home/dump-cache.sh"

copy='' # the path of the copy that this restore uses or keeps; empty when it does neither

# Put the copy of an earlier restore into staging. False where there is none; then this restore keeps one, if `copy` is set.
start_from_copy() {
    copy=
    [[ -w ${copies:?} && $(cat "$copies/size" 2>/dev/null) =~ ^[1-9][0-9]*$ ]] || return 1
    copy=$copies/$(copy_name)
    lock_copy || unlock_copy
    [[ -n $copy && -d $copy ]] || return 1
    log 'starting from the copy of an earlier restore of this dump'
    copy_back 2>"$work/copy.log" &
    if wait $!; then
        initdb -S -D "$staging/pgdata" >/dev/null 2>&1 & # begins what the marker waits for
        touch "$copy"                                    # the least recently used are removed first
        cat "$copy/warnings" >>"$warnings"
        sed 's/^warning=/warning: /' "$copy/warnings" >&2
        unlock_copy
        return 0
    fi
    log "the copy cannot be used, so the dump is restored again: $(tail -n 1 "$work/copy.log")"
    rm -rf "$staging/pgdata"
    if flock -n 8 && mv "$copy" "$copy.removed"; then rm -rf "$copy.removed"; else unlock_copy; fi # others use it
    return 1
}

# What decides the content of a restored data directory: the dump, the image, the scripts. A container does not know the id
# of its image; packages and PostgreSQL's files are what the id stands for, and the same after the image is built again.
copy_name() {
    {
        echo "${sha256:?} $(postgres --version) $(uname -m) ${LANG:-} ${LC_ALL:-}"
        cat /var/lib/dpkg/status "$home"/*.sh "$home"/*.awk "$home"/*.sql
        find /usr/local /usr/lib/postgresql /usr/share/postgresql -type f -printf '%p %s %T@\n' | LC_ALL=C sort
    } 2>/dev/null | sha256sum | cut -d ' ' -f 1
}

# Wait until no other stack makes the copy. Those that use it share the lock. A restore that reports nothing for two minutes
# is not waited for.
lock_copy() {
    local waited=0
    (umask 0 && : >>"$copy.lock") 2>/dev/null && exec 8<"$copy.lock" || return 1
    until if [[ -d $copy ]]; then flock -n -s 8 && [[ -d $copy ]]; else flock -n 8 && [[ ! -d $copy ]]; fi; do
        ((waited % 15)) || log 'waiting for another stack that restores the same dump'
        [[ -z $(find "$copy.lock" -mmin +2) ]] || return 1
        sleep 1
        waited=$((waited + 1))
    done
    touch "$copy.lock"
}

# This restore neither uses nor keeps a copy any more. The lock is open in other processes, too.
unlock_copy() {
    copy=
    flock -u 8 2>/dev/null || :
    exec 8<&-
}

# Names and sizes reveal a file that is missing or truncated, the checksums of pages what else is damaged.
copy_back() {
    cp -R --reflink=auto "$copy/pgdata" "$staging" || return
    files_of "$staging/pgdata" | cmp -s - "$copy/files" || give_up 'files of it are missing or truncated'
    pg_checksums --check -D "$staging/pgdata" >/dev/null || return
    change_system_identifier "$staging/pgdata"
}

# Without WAL, which a copy has not: pg_resetwal begins it again.
files_of() {
    (cd "$1" && find . -path ./pg_wal -prune -o -type f -printf '%s %p\n' | LC_ALL=C sort)
}

# Keep a copy of the data directory in staging. Nothing depends on it.
keep_copy() {
    [[ -n $copy ]] || return 0
    log 'keeping a copy in the dump cache'
    stop_temporary_server
    make_copy 2>"$work/copy.log" &
    if wait $!; then
        log 'the copy is written to the disk while the database starts'
    else
        copy_failed "$(tail -n 1 "$work/copy.log")"
    fi
    start_temporary_server
}

copy_failed() {
    log "no copy of the restored database is kept: $1"
    rm -rf "$copy.part"
    unlock_copy
}

# Give the copy its name once the disk has it. The job holds the lock, as does a `sleep` that outlives the loop it was of.
complete_copy() {
    local reason
    [[ -n $copy ]] || return 0
    if reason=$(sync -f "$copy.part" 2>&1 && mv -T "$copy.part" "$copy" 2>&1); then
        log 'the copy is complete'
        unlock_copy
    else
        copy_failed "$reason"
    fi &
    exec 8<&-
}

make_copy() {
    local part=$copy.part size_kb limit_kb others_kb
    trap - ERR
    rm -rf "$part"
    size_kb=$(du -sk --exclude=pg_wal "$staging/pgdata" | cut -f 1)
    limit_kb=$(($(cat "$copies/size") * 1024))
    others_kb=$(du -sk --exclude=copies "$cache" | cut -f 1)
    ((size_kb + others_kb <= limit_kb)) ||
        give_up "it has $((size_kb / 1024)) MB, beside $((others_kb / 1024)) MB of dumps, and dumpCacheSize is $((limit_kb / 1024)) MB"
    remove_copies_while exceeds $((limit_kb - size_kb))
    ! exceeds $((limit_kb - size_kb)) || give_up 'the copies that could make room for it are in use'
    ! lacks "$cache" $((3 * size_kb + 1048576)) ||
        give_up "it has $((size_kb / 1024)) MB, and the disk of Docker Engine has $(($(free_kb "$cache") / 1024)) MB free"
    # Directories in the mode that dump-cache.sh needs; cp leaves those that exist as they are.
    (umask 0 && cd "$staging" && find pgdata -type d -printf "$part/%p\0" | xargs -0 mkdir -p)
    find "$staging/pgdata" -mindepth 1 -maxdepth 1 ! -name pg_wal -exec cp -R --reflink=auto -t "$part/pgdata" {} +
    files_of "$staging/pgdata" >"$part/files"
    cp "$warnings" "$part/warnings"
}

# End the job that makes or uses a copy, with the reason.
give_up() {
    echo "$1" >&2
    exit 1
}

# Give a data directory another system identifier and WAL of its own, as pg_createsubscriber does: a standby of one database
# must not stream from another that started from the same copy. The identifier is in the first 8 bytes of pg_control, and
# behind its last field is the CRC-32C of all fields.
change_system_identifier() {
    local control=$1/global/pg_control bytes length=8 crc=$((0xFFFFFFFF)) id end
    mapfile -t bytes < <(od -An -v -tu1 -w1 -N 1024 "$control" | tr -d ' ')
    add_to_crc "${bytes[@]::8}"
    until (((crc ^ 0xFFFFFFFF) == (bytes[length] | bytes[length + 1] << 8 | bytes[length + 2] << 16 | bytes[length + 3] << 24))); do
        ((length < 1000)) || give_up 'pg_control has no CRC'
        add_to_crc "${bytes[length]}"
        length=$((length + 1))
    done
    read -ra id <<<"$(od -An -N4 -tu1 /dev/urandom) $(little_endian "$(date +%s)")"
    crc=$((0xFFFFFFFF))
    add_to_crc "${id[@]}" "${bytes[@]:8:length-8}"
    read -ra end <<<"$(little_endian $((crc ^ 0xFFFFFFFF)))"
    write_bytes "$control" 0 "${id[@]}" && write_bytes "$control" "$length" "${end[@]}" && pg_resetwal -D "$1" >/dev/null
}

# Add bytes to the CRC-32C (RFC 3720) in `crc`.
add_to_crc() {
    local byte _
    for byte; do
        crc=$((crc ^ byte))
        for _ in 1 2 3 4 5 6 7 8; do crc=$((crc >> 1 ^ 0x82F63B78 * (crc & 1))); done
    done
}

little_endian() {
    echo $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}

# Overwrite bytes of a file: write_bytes FILE OFFSET BYTE...
write_bytes() {
    local escaped
    escaped=$(printf '\\x%x' "${@:3}")
    printf '%b' "$escaped" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
