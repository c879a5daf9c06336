# Restore an archive of pg_dump (custom, tar, or a directory packed with tar) with pg_restore. Sourced by database.sh.
# shellcheck shell=bash

: "${home:?}" "${work:?}" "${socket?}" "${jobs:?}" "${memory_mb:?}"

restore_custom() {
    local archive
    archive=$(unpacked_file "$1") || exit 1
    restore_archive "$archive" -j "$jobs"
}

# pg_restore reads this format with one job, and takes the end of a truncated file for the end of a table's rows.
restore_tar() {
    local archive
    archive=$(unpacked_file "$1") || exit 1
    tar -tf "$archive" >/dev/null 2>"$work/unpack.log" || refuse "it is truncated or damaged: $(head -n 1 "$work/unpack.log")"
    restore_archive "$archive"
}

restore_directory() {
    local toc
    mkdir "$work/archive"
    log 'unpacking the archive'
    unpacked "$1" 2>"$work/unpack.log" | tar -x -C "$work/archive" --no-same-owner --no-same-permissions 2>>"$work/unpack.log" ||
        refuse "it cannot be unpacked: $(head -n 3 "$work/unpack.log" | tr '\n' ' ')"
    toc=$(find "$work/archive" -maxdepth 3 -name toc.dat)
    [[ -f $toc ]] ||
        refuse "it is a tar archive without the toc.dat of a pg_dump archive; it has $(find "$work/archive" -type f -printf '%P ' | cut -c 1-200)"
    restore_archive "$(dirname "$toc")" -j "$jobs"
}

# Print the path of an archive file that is not gzip'd.
unpacked_file() {
    if ! is_gzip "$1"; then
        echo "$1"
    else
        log 'unpacking the archive'
        unpacked "$1" >"$work/archive" 2>"$work/unpack.log" || refuse "it cannot be unpacked: $(tail -n 1 "$work/unpack.log")"
        echo "$work/archive"
    fi
}

# Restore what the list of an archive has and this server can have; further arguments are pg_restore's.
restore_archive() {
    local archive=$1 options=(--no-owner --no-acl --no-tablespaces --no-publications --no-subscriptions --no-security-labels)
    ! pg_restore --help | grep -q -- --no-table-access-method || options+=(--no-table-access-method)
    shift
    pg_restore -l "$archive" >"$work/list" 2>"$work/pg_restore.log" || {
        header_versions "$archive" >"$work/versions"
        restore_failed "$(pg_restore_error)"
    }
    dump_versions "$work/list" >"$work/versions"
    # The list does not name an extension's schema and has no settings, their SQL has.
    grep -E '^[0-9]+; [0-9]+ [0-9]+ (EXTENSION|DATABASE PROPERTIES) ' "$work/list" >"$work/head-list" || :
    pg_restore --create -f - -L "$work/head-list" "$archive" >"$work/head"
    extensions_in_dump <"$work/head" | create_extensions
    filter_plain <"$work/head" >/dev/null
    LC_ALL=C awk -v dir="$work" -f "$home/statements.awk" -f "$home/archive-filter.awk" "$work/list" "$work/list" >"$work/filtered-list" || check_refused
    # As SQL_ASCII the server takes rows unchecked; as UTF-8 they are checked. What else is left out of a plain dump cannot be
    # seen in a list: policies for roles, triggers and foreign servers of extensions that are missing.
    if grep -q "^SET client_encoding = 'SQL_ASCII'" "$work/head" || grep -qE ' (POLICY|ROW SECURITY) ' "$work/filtered-list" ||
        { [[ -s $work/missing-extensions ]] && grep -qE ' (TRIGGER|SERVER) ' "$work/filtered-list"; }; then
        restore_through_psql pg_restore -f - -L "$work/filtered-list" "${options[@]}" "$archive"
        return
    fi
    grep -c '^[0-9]' "$work/filtered-list" >"$work/items" || :
    PGOPTIONS="-c client_min_messages=warning -c maintenance_work_mem=$((memory_mb / jobs))MB" \
        pg_restore "$@" -L "$work/filtered-list" "${options[@]}" --exit-on-error --verbose -h "$socket" -U loader -d dhis \
        "$archive" 2>"$work/pg_restore.log" || restore_failed "$(pg_restore_error)"
}

# The versions an archive's header has, for one this pg_restore cannot read: the server's, then pg_dump's.
header_versions() {
    local header=$1
    [[ ! -d $1 ]] || header=$1/toc.dat
    head -c 2000 "$header" | tr -c '[:print:]' '\n' | sed -n 's/^\([1-9][0-9]*\.[0-9]*\)\( (.*\)\{0,1\}$/\1/p' | head -n 2
}

# What pg_restore reports of its error, in one line: the entry of the archive, the message, and what tells where it is.
pg_restore_error() {
    sed -nE 's/^pg_restore: (from TOC entry [0-9]+; [0-9]+ [0-9]+ |error: )//p; /^(DETAIL|CONTEXT):/p' "$work/pg_restore.log" |
        cut -c 1-300 | head -n 4 | tr -s '\n ' ' ' | sed 's/ $//'
}
