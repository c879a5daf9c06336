# First start of a primary: initialise the data directory in staging, restore the dump with a temporary server, publish it.
# Sourced by database.sh.
# shellcheck shell=bash

: "${home:?}" "${secrets:?}" "${data:?}" "${cluster:?}" "${staging:?}" "${run:?}" "${major:?}" "${restored:?}"

work=$staging/work
jobs=1
memory_mb=64 # for what jobs sort

# Restore the database, from the dump of the stack or from that of a backup, and mark it. One that is there is removed only
# when the new one is complete: a dump that cannot be restored costs no data, and the old dump's name brings the old database
# back. Only a dump of the stack starts from a copy: each backup has a dump of its own.
restore() {
    local dump=${1:-/dumps/$DUMP_KEY} sha256=none bytes=0 unpacked_bytes=0 started recorded='' copied='' needed=0 analytics
    started=$(date +%s)
    rm -rf "$staging"
    [[ -f $restored ]] || rm -rf "$cluster"
    mkdir -p "$work"
    [[ $dump == /dumps/none ]] || { check_dump "$dump" && check_space "$dump"; }
    size_restore
    if [[ $dump == /dumps/* && $DUMP_KEY != none ]] && start_from_copy; then
        copied=yes
        start_temporary_server
    else
        remove_copies_while lacks "$data" $((needed * 4 / 1024)) # what a restore may take
        create_database "$dump"
        keep_copy
    fi
    check_encryption_password ||
        refuse "its database was used with another encryption.password (fingerprint ${recorded##*\$})" 'set that one, pulumi config set --secret encryptionPassword'
    set_restored_admin_password
    analytics=$(analytics_of "$dump")
    stop_temporary_server
    initdb -S -D "$staging/pgdata" >/dev/null # sync
    write_marker "$staging/restored" <<MARKER
dump_key=$DUMP_KEY
dump_name=$DUMP_NAME
bytes=$bytes
sha256=$sha256
role=dhis
accepted_key=$DUMP_KEY
restored_at=$(date +%s)
analytics=$analytics
copied=$copied
restored_set=${restored_set:-}
MARKER
    publish
    complete_copy
    log "the database is restored ($(($(date +%s) - started)) s)"
}

# Replace the database by the one in staging, which has a marker. Where this is killed the next start does it again: the database
# before is removed, and what is in staging may be a backup that no dump brings back.
publish() {
    if [[ -d $staging/pgdata ]]; then
        rm -rf "$cluster"
        mv "$staging/pgdata" "$cluster"
    fi
    rm -f "$data/admin-password-set"
    write_marker "$restored" <"$staging/restored"
    rm -f "$staging/restored" # first
    rm -rf "$staging"
}

# Fill a new data directory in staging from the dump.
create_database() {
    initialise
    start_temporary_server
    sql postgres -f "$home/create-roles-and-extensions.sql" >/dev/null
    if [[ $1 == /dumps/none ]]; then
        log 'creating a blank database'
    else
        log "restoring $DUMP_NAME with $jobs jobs"
        # In the background: bash runs a trap only after a command in the foreground has ended.
        restore_dump "$1" &
        wait_for $! || exit 1
    fi
    sql dhis -c 'SET client_min_messages = warning' -f "$home/set-logged.sql" -f "$home/reassign-ownership.sql" >/dev/null
    log 'gathering statistics'
    vacuumdb -q -Z -j "$jobs" -h "$socket" -U postgres -d dhis
}

# Wait for the dump and compare it with what was fetched: `sha256`, `bytes` and `unpacked_bytes` of the caller.
check_dump() {
    local waited=0 again="fetch it again: docker rm $DUMP_CONTAINER && pulumi up --refresh"
    until [[ -f $1 && -f $1.sha256 ]]; do
        ((waited < 600)) || fatal "the dump $DUMP_NAME is not in the cache (volume at /dumps); $again"
        ((waited % 15)) || log "waiting for the dump $DUMP_NAME"
        sleep 1
        waited=$((waited + 1))
    done
    read -r sha256 bytes unpacked_bytes <"$1.sha256"
    [[ $(sha256sum "$1" | cut -d ' ' -f 1) == "$sha256" ]] || fatal "the dump $DUMP_NAME in the cache is damaged; $again"
}

# Refuse a dump that certainly does not fit: a data directory is larger than the SQL it is restored from, and SQL at least
# DATA_PER_GZIP (sizing.py) times as large as an archive that is compressed in itself: `needed` of the caller.
check_space() {
    local free compression
    needed=${unpacked_bytes:-$bytes}
    compression=$(unpacked "$1" 2>/dev/null | pg_restore -l 2>/dev/null | sed -n 's/^; *Compression: //p') || :
    [[ $compression =~ ^(|0|none)$ ]] || needed=$((needed * 5))
    remove_copies_while lacks "$data" $((needed / 1024))
    free=$(($(free_kb "$data") * 1024))
    ((free >= needed)) ||
        fatal "the dump $DUMP_NAME needs at least $((needed / 1000000)) MB, and the disk of Docker Engine has $((free / 1000000)) MB free; nothing was changed. Make room: docker system df, docker system prune; or use another machine: pulumi config set dockerHost ssh://user@host"
}

# How many jobs run at a time, and with how much memory each.
size_restore() {
    local most
    write_configuration restore
    memory_mb=$(sed -n 's/^maintenance_work_mem = \([0-9]*\)MB$/\1/p' "$run/postgresql.conf" | tail -n 1)
    jobs=$(nproc)
    most=$((memory_mb / 32 < 16 ? memory_mb / 32 : 16)) # more gain nothing, and the server has no connections for them
    jobs=$((jobs < most ? jobs : most))
    jobs=$((jobs > 1 ? jobs : 1))
}

initialise() {
    local locale=(--locale=C.UTF-8)
    locale -a 2>/dev/null | grep -qi '^c\.utf-*8$' || locale=()
    initdb -D "$staging/pgdata" -U postgres --auth-local=peer --auth-host=scram-sha-256 -E UTF8 --no-sync \
        "${locale[@]}" --data-checksums >"$work/initdb.log" 2>&1 ||
        fatal "initdb failed: $(tail -n 3 "$work/initdb.log" | tr '\n' ' ')"
}

# A server only this script can reach, without WAL for what is restored (wal_level = minimal). Nothing has to outlive a
# crash before the marker is there, and that is written after everything else has reached the disk.
start_temporary_server() {
    socket=$run/temporary
    rm -rf "$socket"
    mkdir -m 700 "$socket"
    echo 'local all all trust' >"$socket/pg_hba.conf"
    postgres -D "$staging/pgdata" -c config_file="$run/postgresql.conf" -c hba_file="$socket/pg_hba.conf" \
        -c ident_file="$run/pg_ident.conf" -c listen_addresses= -c unix_socket_directories="$socket" \
        -c wal_level=minimal -c max_wal_senders=0 -c archive_mode=off -c max_wal_size=8GB -c checkpoint_timeout=1h \
        -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c autovacuum=off \
        -c max_connections=50 -c max_locks_per_transaction=2048 \
        -c max_parallel_maintenance_workers="$jobs" -c log_lock_waits=off -c log_min_messages=fatal \
        >"$work/server.log" 2>&1 &
    server=$!
    wait_until_ready || fatal "the temporary server did not start: $(tail -n 3 "$work/server.log" | tr '\n' ' ')"
}

stop_temporary_server() {
    kill -INT "$server"
    wait_for "$server" || fatal "the temporary server did not stop: $(tail -n 3 "$work/server.log" | tr '\n' ' ')"
    rm -rf "$socket"
    socket='' server=''
}

# Restore a dump of any format, each maybe gzip'd, into the database dhis.
restore_dump() {
    local dump=$1 format reporter left_out
    format=$(dump_format "$dump")
    [[ $format != utf16 ]] ||
        refuse 'it is UTF-16 text, as a Windows shell writes what is redirected' 'let pg_dump write the file, pg_dump -f FILE DATABASE'
    report_progress "$dump" &
    reporter=$!
    "restore_$format" "$dump"
    kill "$reporter" 2>/dev/null || :
    [[ ! -s $work/database-settings ]] || sql dhis -c 'SET ROLE dhis' -f "$work/database-settings" >/dev/null 2>"$work/psql.log" ||
        echo "ALTER DATABASE ($(psql_error "$work/psql.log"))" >>"$work/left-out"
    if [[ -s $work/left-out ]]; then
        left_out="left out: $(LC_ALL=C sort -u "$work/left-out" | paste -s -d ';' | sed 's/;/; /g')"
        log "$left_out"
        record_warning "$left_out"
    fi
    case $(sql dhis -c "SELECT count(*), coalesce(sum(pg_relation_size(oid)), 0) FROM pg_class WHERE relkind = 'r' AND relowner = 'loader'::regrole") in
    0\|*) warn "the dump $DUMP_NAME has no tables; DHIS2 begins with a blank database" ;;
    *\|0) warn "the dump $DUMP_NAME has tables, but no rows (pg_dump --schema-only)" ;;
    esac
}

# Print the format of a dump, by its first bytes: plain, custom, tar, directory (packed with tar) or utf16, which may begin
# with a byte order mark or with two characters of ASCII.
dump_format() {
    local first
    first=$(unpacked "$1" 2>/dev/null | head -c 523 | od -An -v -tx1 | tr -d ' \n') || :
    case $first in
    5047444d50*) echo custom ;; # PGDMP
    fffe* | feff* | [2-7]?00[02-7][1-9a-f]00* | 00[2-7]?00[02-7][1-9a-f]*) echo utf16 ;;
    # Its first file is toc.dat, and in that the format is tar.
    746f632e64617400*03) echo tar ;;
    *) if [[ ${first:514:10} == 7573746172 ]]; then echo directory; else echo plain; fi ;; # ustar
    esac
}

is_gzip() {
    [[ $(od -An -N2 -tx1 "$1" | tr -d ' \n') == 1f8b ]]
}

# The content of a dump. The process id is for report_progress, which looks how far the file is read.
unpacked() (
    echo "$BASHPID" >"$work/reader"
    if is_gzip "$1"; then exec gzip -dc <"$1"; else exec cat <"$1"; fi
)

# The extensions that a dump's SQL creates, a line each: name, schema. They come before everything that can use them.
extensions_in_dump() {
    awk '/^(CREATE (UNLOGGED |FOREIGN )?TABLE|COPY|INSERT INTO) / { exit }
        toupper($0) ~ /^CREATE EXTENSION / {
            gsub(/[";\r]/, "")
            schema = ""
            for (i = 4; i < NF; i++) if (toupper($i) == "SCHEMA") schema = $(i + 1)
            print toupper($3) == "IF" ? $6 : $3, schema
        }'
}

# Create the extensions on stdin, and note those this image cannot have; then what the filters compare the dump with.
create_extensions() {
    local name schema
    : >"$work/extensions"
    while read -r name schema; do
        echo "$name" >>"$work/extensions"
        [[ $name == plpgsql ]] ||
            sql dhis -1 -v name="$name" ${schema:+-v schema="$schema"} -f "$home/create-extension.sql" >/dev/null 2>"$work/psql.log" || {
            echo "$name" >>"$work/missing-extensions"
            warn "the extension $name is left out, with what belongs to it: $(psql_error "$work/psql.log")"
        }
    done
    sql dhis -f "$home/prepare-extension-tables.sql" >/dev/null
    sql dhis -c "SELECT lower(name) FROM pg_settings WHERE context = 'user' OR name = 'session_replication_role' AND $major >= 15" >"$work/parameters"
    sql dhis -c 'SELECT nspname FROM pg_namespace' >"$work/schemas"
    sql dhis -c 'SELECT fdwname FROM pg_foreign_data_wrapper' >"$work/wrappers"
    sql dhis -c "SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
        WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND nspname !~ '^pg_'" >"$work/relations"
}

# The versions of PostgreSQL and pg_dump that a dump or an archive's list names, one a line.
dump_versions() {
    sed -n 's/^.*Dumped \(from database\|by pg_dump\) version:\{0,1\} *\([0-9][0-9.]*\).*/\2/p' "$1" | head -n 2
}

# Report what is being done, when that has changed, every few seconds.
report_progress() {
    local size at now last=
    size=$(stat -c %s "$1")
    while sleep 3; do
        [[ -z $copy ]] || touch "$copy.lock"
        if [[ -s $work/items ]]; then
            now="restoring: $(grep -cE '^pg_restore: (processing|finished) item' "$work/pg_restore.log" || :) of $(cat "$work/items") objects"
        else
            at=$(sed -n 's/^pos:[^0-9]*//p' "/proc/$(cat "$work/reader")/fdinfo/0" 2>/dev/null || echo "$size")
            now="restoring: $((at * 100 / size)) % of the dump, $(running_statement)"
        fi
        [[ $now == "$last" ]] || log "$now"
        last=$now
    done
}

# What the server is doing for the dump, short: COPY public.datavalue, CREATE INDEX in_parent.
running_statement() {
    sql dhis -c "SELECT left(regexp_replace(regexp_replace(query, '\s+', ' ', 'g'), ' ?(\(|FROM|USING|VALUES|;).*', ''), 90)
        FROM pg_stat_activity WHERE usename = 'loader' AND state <> 'idle' LIMIT 1" 2>/dev/null || :
}

# End because the server or pg_restore refused something of the dump.
restore_failed() {
    local reason=$1 made_by dumped_by='' newest fix=
    [[ $reason != *'invalid byte sequence for encoding'* ]] || fix='convert a plain dump, iconv -f LATIN1 -t UTF-8 DUMP -o FILE'
    [[ ! $reason =~ 'could not create locale'|'collation '.*' does not exist' ]] || fix='pulumi config set databaseImage IMAGE, one that has this locale'
    if [[ -s $work/missing-extensions ]]; then
        reason+="; extensions this image does not have: $(paste -s -d ' ' "$work/missing-extensions")"
        fix='pulumi config set databaseImage IMAGE, one that has them'
    fi
    if { read -r made_by && read -r dumped_by; } <"$work/versions" &&
        [[ $reason == *'unsupported version'* || ${made_by%%.*} -gt $major || ${dumped_by%%.*} -gt $major ]]; then
        newest=$((${made_by%%.*} > ${dumped_by%%.*} ? ${made_by%%.*} : ${dumped_by%%.*}))
        ((newest > major)) || newest=$((major + 1))
        reason+="; it was made by PostgreSQL $made_by with pg_dump $dumped_by, newer than this image's PostgreSQL $(server_version)"
        fix="pulumi config set databaseImage IMAGE, one with PostgreSQL $newest or newer"
    fi
    refuse "$reason" "$fix"
}

server_version() {
    postgres --version | sed 's/[^0-9]*\([0-9.]*\).*/\1/'
}

# End with the reason a dump cannot be restored, and what to do.
refuse() {
    local fix='choose another, pulumi config set dumpUrl https://…'
    [[ -z ${restored_set:-} ]] || fix='choose another backup, dhis2-cluster backups'
    fatal "the dump $DUMP_NAME cannot be restored: $1; nothing of it is kept. Fix: ${2:-$fix}"
}
