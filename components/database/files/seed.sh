# First start of a primary: make the database in the staging folder, load the dump, hand it over. Sourced, POSIX sh.
# shellcheck shell=sh

: "${home:?}" "${secrets:?}" "${data:?}" "${cluster:?}" "${staging:?}" "${run:?}"

seeded=$data/seeded # the marker

# Load the database and mark it. One that was finished before goes only when the new one is loaded: a dump that does not
# load costs no data, and the old dump's name brings the old database back.
seed() {
    rm -rf "$staging"
    [ -f "$seeded" ] || rm -rf "$cluster"
    mkdir -p "$staging"
    dump=/dumps/$DUMP_KEY
    [ "$DUMP_KEY" = none ] || check_dump
    size_seed
    started=$(date +%s)
    make_cluster
    private_server
    sql postgres -f "$home/prepare.sql" >/dev/null
    if [ "$DUMP_KEY" = none ]; then
        say 'making a blank database'
    else
        say "loading $DUMP_NAME with $jobs jobs"
        load "$dump"
    fi
    sql dhis -c 'SET client_min_messages = warning' -f "$home/handover.sql" >/dev/null
    say 'gathering statistics'
    vacuumdb -q -Z -j "$jobs" -h "$socket" -U postgres -d dhis
    admin_password "$staging"
    end_private_server
    rm -f "$seeded" "$data/admin-password-set"
    rm -rf "$cluster"
    mv "$staging/pgdata" "$cluster"
    [ ! -f "$staging/admin-password-set" ] || mv "$staging/admin-password-set" "$data"
    rm -rf "$staging"
    write_marker "$seeded" <<MARKER
seed_key=$DUMP_KEY
seed_name=$DUMP_NAME
bytes=${bytes:-0}
sha256=${sha256:-none}
role=dhis
accepted_key=$DUMP_KEY
loaded_at=$(date +%s)
MARKER
    say "the database is loaded ($(($(date +%s) - started)) s)"
}

# Wait for the dump and compare it with what was fetched.
check_dump() {
    again="fetch it again: docker rm $DUMP_CONTAINER && pulumi up --refresh"
    waited=0
    until [ -f "$dump" ] && [ -f "$dump.sha256" ]; do
        [ "$waited" -lt 600 ] ||
            fatal "the dump $DUMP_NAME is not in the cache (volume at /dumps); $again"
        [ $((waited % 15)) -ne 0 ] || say "waiting for the dump $DUMP_NAME"
        sleep 1
        waited=$((waited + 1))
    done
    read -r sha256 bytes <"$dump.sha256"
    [ "$(sha256sum "$dump" | cut -d ' ' -f 1)" = "$sha256" ] ||
        fatal "the dump $DUMP_NAME in the cache is damaged; $again"
}

# How many things to do at a time, and with how much memory each.
size_seed() {
    write_configuration seed
    jobs=$(nproc 2>/dev/null || grep -c ^processor /proc/cpuinfo || echo 1)
    memory_mb=$(sed -n 's/^maintenance_work_mem = \([0-9]*\)MB$/\1/p' "$run/postgresql.conf" | tail -n 1)
    most=$((memory_mb / 32))
    [ "$most" -le 16 ] || most=16 # more gain nothing, and the server has no connections for them
    [ "$jobs" -le "$most" ] || jobs=$most
    [ "$jobs" -ge 1 ] || jobs=1
    each_mb=$((memory_mb / jobs))
    [ "$each_mb" -le 2047 ] || each_mb=2047
}

make_cluster() {
    locale=C.UTF-8
    if command -v locale >/dev/null 2>&1 && ! locale -a 2>/dev/null | grep -qi '^c\.utf-*8$'; then locale=; fi
    initdb -D "$staging/pgdata" -U postgres --auth-local=peer --auth-host=scram-sha-256 -E UTF8 --no-sync \
        ${locale:+--locale=$locale} --data-checksums >"$staging/initdb.log" 2>&1 ||
        fatal "initdb failed: $(tail -n 3 "$staging/initdb.log" | tr '\n' ' ')"
}

# A server nobody else can reach, without a write-ahead log for what is loaded (wal_level = minimal). Nothing has to
# outlive a crash before the marker is there, and that is written after everything else has reached the disk.
private_server() {
    socket=$run/private
    rm -rf "$socket"
    mkdir -m 700 "$socket"
    echo 'local all all trust' >"$socket/pg_hba.conf"
    postgres -D "$staging/pgdata" -c config_file="$run/postgresql.conf" -c hba_file="$socket/pg_hba.conf" \
        -c ident_file="$run/pg_ident.conf" -c listen_addresses= -c unix_socket_directories="$socket" \
        -c wal_level=minimal -c max_wal_senders=0 -c archive_mode=off -c max_wal_size=8GB -c checkpoint_timeout=1h \
        -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c autovacuum=off \
        -c max_connections=50 -c max_locks_per_transaction=2048 \
        -c maintenance_work_mem="${each_mb}MB" -c log_lock_waits=off -c log_min_messages=fatal \
        >"$staging/server.log" 2>&1 &
    server=$!
    await_server || fatal "the server did not start: $(tail -n 3 "$staging/server.log" | tr '\n' ' ')"
}

end_private_server() {
    kill -INT "$server"
    wait_for "$server" || fatal "the server did not stop: $(tail -n 3 "$staging/server.log" | tr '\n' ' ')"
    rm -rf "$socket"
    socket='' server=''
}

# Set the password of DHIS2's user admin once, when one is given and the user exists; a later start or the watch of the
# running primary does it otherwise. The folder is the one that keeps the mark of it. bcrypt is computed in another database, which leaves no extension in DHIS2's.
admin_password() {
    mark=$1/admin-password-set
    [ -f "$secrets/admin-password" ] && [ ! -f "$mark" ] || return 0
    [ "$(sql dhis -f "$home/admin-password.sql" 2>/dev/null)" = "done" ] || return 0
    : >"$mark"
    say "the password of DHIS2's user admin is set"
}
