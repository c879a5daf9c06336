# The primary: seeded once, then served, and looked after while it runs. Sourced, POSIX sh.
# shellcheck shell=sh

: "${home:?}" "${cluster:?}" "${staging:?}" "${run:?}"

primary() {
    DUMP_KEY=${DUMP_KEY:-none} DUMP_NAME=${DUMP_NAME:-none}
    if must_seed; then seed; fi
    rm -rf "$staging"
    check_version
    write_configuration
    serve "$cluster" &
    server=$!
    if await_server; then
        sql dhis -f "$home/roles.sql" >/dev/null || { kill -INT "$server"; fatal 'the roles could not be given their passwords'; }
        admin_password "${data:?}"
        say "PostgreSQL ${major:?} is ready"
        tend &
    fi
    code=0
    wait_for "$server" || code=$?
    asked_to_stop || fatal "the server ended by itself ($code); its last lines above say why"
}

# Whether to load the database: not yet done, or another dump is wanted and keepData does not forbid it.
must_seed() {
    if [ ! -f "${seeded:?}" ]; then
        [ ! -e "$cluster" ] || say 'a database is here that was never finished; beginning again'
        return 0
    fi
    accepted=$(marked "$seeded" accepted_key)
    [ "$accepted" != "$DUMP_KEY" ] || return 1
    old=$(marked "$seeded" seed_name)
    if [ "${KEEP_DATA:-false}" = true ]; then
        say "kept the database loaded from $old; dump $DUMP_NAME is not loaded because keepData is true"
        sed "s/^accepted_key=.*/accepted_key=$DUMP_KEY/" "$seeded" >"$seeded.kept"
        write_marker "$seeded" <"$seeded.kept"
        rm -f "$seeded.kept"
        return 1
    fi
    say "the dump has changed: the database loaded from $old is replaced by $DUMP_NAME once that is loaded (keepData is false)"
}

check_version() {
    made_by=$(cat "$cluster/PG_VERSION")
    [ "$made_by" = "$major" ] ||
        fatal "the database was made by PostgreSQL $made_by and this image has $major; nothing was touched." \
            "Go back to an image with $made_by (pulumi config set databaseImage …)," \
            "or remove the database and load it again: pulumi destroy && pulumi up"
}

# While the primary runs, every ten seconds: a password that waits for its user, and slots nobody comes back for.
tend() {
    : >"$run/idle-slots"
    while sleep 10; do
        admin_password "$data" || :
        tend_slots || :
    done
}

# Drop slots whose log is gone, and those idle for an hour: a removed replica's would hold the log for ever. A replica
# that comes back later clones itself again.
tend_slots() {
    now=$(date +%s)
    lost=
    [ "$major" -lt 13 ] || lost=", coalesce(wal_status, '') = 'lost'"
    sql postgres -F ' ' -c "SELECT slot_name${lost:-, false} FROM pg_replication_slots WHERE NOT active AND NOT temporary" \
        >"$run/idle-slots.now"
    : >"$run/idle-slots.new"
    while read -r slot gone; do
        since=$(sed -n "s/^$slot //p" "$run/idle-slots")
        echo "$slot ${since:-$now}" >>"$run/idle-slots.new"
        if [ "$gone" = t ]; then
            why='its log is gone'
        elif [ $((now - ${since:-$now})) -ge 3600 ]; then
            why='nobody has used it for an hour'
        else
            continue
        fi
        sql postgres -c "SELECT pg_drop_replication_slot('$slot')" >/dev/null && say "dropped the slot $slot: $why"
    done <"$run/idle-slots.now"
    mv "$run/idle-slots.new" "$run/idle-slots"
}
