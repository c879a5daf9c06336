# The primary: restored once, then served, and maintained while it runs. Sourced by database.sh.
# shellcheck shell=bash

: "${home:?}" "${secrets:?}" "${data:?}" "${cluster:?}" "${staging:?}" "${run:?}" "${restored:?}" "${warnings:?}"

primary() {
    local code=0 compare=yes
    DUMP_KEY=${DUMP_KEY:-none} DUMP_NAME=${DUMP_NAME:-none}
    rm -f "$run/ready"
    : >"$warnings"
    convert_marker
    [[ ! -f $staging/restored ]] || publish
    if restore_requested; then
        restore_request
        compare= # it has compared encryption.password
    elif must_restore; then
        restore
        compare=
    fi
    rm -rf "$staging"
    check_version
    write_configuration
    serve "$cluster" &
    server=$!
    if wait_until_ready; then
        sql dhis -f "$home/set-role-passwords.sql" >/dev/null || stop_requested || {
            kill -INT "$server"
            wait_for "$server" || :
            fatal 'the passwords of the roles could not be set'
        }
        sql postgres -v id="$(cat /proc/sys/kernel/random/uuid)" -f "$home/record-start.sql" >/dev/null || stop_requested ||
            log 'warning: this start is not recorded: a replica cannot find out that the primary is restored from an older backup'
        set_backup_role || stop_requested || warn 'the role that backups are made with could not be created'
        update_extensions || stop_requested || warn 'the versions of the extensions could not be compared with those of this image'
        check_collations || stop_requested || warn 'the versions of the collations could not be compared with those of this image'
        [[ -z $compare ]] || stop_requested || compare_encryption_password
        : >"$run/ready"
        log "PostgreSQL ${major:?} is ready"
        maintain &
    fi
    wait_for "$server" || code=$?
    stop_requested || fatal "the server ended by itself ($code); its last lines above say why"
}

# The marker of version 0.1 had another name and other keys.
convert_marker() {
    if [[ -f $data/seeded && ! -f $restored ]]; then
        sed -e 's/^seed_/dump_/' -e 's/^loaded_at=/restored_at=/' "$data/seeded" | write_marker "$restored"
    fi
    rm -f "$data/seeded"
}

# Whether to restore the database: not yet done, or another dump is wanted and keepData does not forbid it.
must_restore() {
    local old sha256 restored_sha256 accepted_sha256
    if [[ ! -f $restored ]]; then
        [[ ! -e $cluster ]] || log 'the data directory was never finished; beginning again'
        return 0
    fi
    [[ $(marker_value "$restored" accepted_key) != "$DUMP_KEY" ]] || return 1
    old=$(marker_value "$restored" dump_name)
    sha256=$(cut -d ' ' -f 1 "/dumps/$DUMP_KEY.sha256" 2>/dev/null || :)
    restored_sha256=$(marker_value "$restored" sha256)
    # Of the dump that keepData kept from being restored.
    accepted_sha256=$(marker_value "$restored" accepted_sha256)
    if [[ -n $sha256 && $sha256 == "${accepted_sha256:-$restored_sha256}" ]]; then
        log "the dump $DUMP_NAME has the content of the one before, so nothing is restored again"
        change_marker "accepted_key=$DUMP_KEY"
        [[ $sha256 != "$restored_sha256" ]] || change_marker "dump_key=$DUMP_KEY" "dump_name=$DUMP_NAME"
    elif [[ ${KEEP_DATA:-false} == true ]]; then
        log "kept the database restored from $old; dump $DUMP_NAME is not restored because keepData is true"
        change_marker "accepted_key=$DUMP_KEY" "accepted_sha256=$sha256"
    else
        log "the dump has changed: the database restored from $old is replaced by $DUMP_NAME once that is restored (keepData is false)"
        return 0
    fi
    return 1
}

check_version() {
    local made_by
    made_by=$(cat "$cluster/PG_VERSION")
    [[ $made_by == "$major" ]] ||
        fatal "the database was initialised by PostgreSQL $made_by and this image has $major; nothing was changed. Use an image with $made_by (pulumi config set databaseImage …), or remove the database and restore it again: pulumi destroy && pulumi up"
}

# The role that pg_dump of the backup container connects as; without backups it cannot log in.
set_backup_role() {
    if [[ -f $secrets/backup-role-password ]]; then
        sql dhis -f "$home/backup-role.sql" >/dev/null
    elif [[ -n $(sql dhis -c "SELECT to_regrole('backup')") ]]; then
        sql dhis -c 'ALTER ROLE backup NOLOGIN'
    fi
}

# End when encryptionPassword is not the password the database was used with. A generated one may be another: it is lost with
# the stack's state while keepData keeps the volume. Then the marker says so, and `pulumi up` warns.
compare_encryption_password() {
    local recorded='' other=''
    check_encryption_password || stop_requested || other=other
    if [[ $other == other && ${ENCRYPTION_PASSWORD_FROM:-generator} == setting &&
        $(marker_value "$restored" encryption_password_from) != set ]]; then
        kill -INT "$server"
        wait_for "$server" || :
        fatal "the database was used with another encryption.password (fingerprint ${recorded##*\$}) than the setting encryptionPassword, and what is encrypted in it could not be read. Set that one: pulumi config set --secret encryptionPassword"
    fi
    [[ $(marker_value "$restored" encryption_password) == "$other" ]] ||
        change_marker "encryption_password=$other" "encryption_password_from=${other:+$(marker_value "$restored" encryption_password_from)}"
}

# Another image may have other versions of extensions: the library is the image's, the SQL definitions are the database's.
update_extensions() {
    local found name installed available
    found=$(sql dhis -c "SELECT extname, extversion, default_version FROM pg_extension e
        LEFT JOIN pg_available_extensions ON name = extname WHERE extversion IS DISTINCT FROM default_version ORDER BY e.oid") || return
    while IFS='|' read -r name installed available; do
        if [[ -z $available ]]; then
            warn "the database has the extension $name and this image has not. Fix: pulumi config set databaseImage IMAGE, one that has it"
        elif sql dhis -c "SET lock_timeout = '30s'" -c "ALTER EXTENSION \"$name\" UPDATE" >/dev/null 2>"$run/psql.log"; then
            log "the extension $name is updated from $installed to $available, the version of this image"
        else
            warn "the extension $name is $installed in the database and $available in this image ($(psql_error "$run/psql.log")). Fix: eval \"\$(pulumi stack output psql) -c 'ALTER EXTENSION \\\"$name\\\" UPDATE'\", or an image with $installed"
        fi
    done < <([[ -z $found ]] || printf '%s\n' "$found")
}

# Another C library or ICU may sort text in another way than that which the indexes were built with.
check_collations() {
    local found name recorded actual refresh
    found=$(
        ((major < 15)) || sql dhis -c "SELECT 'default', datcollversion, pg_database_collation_actual_version(oid),
                CASE WHEN pg_database_collation_actual_version(oid) IS NULL
                    THEN format('UPDATE pg_database SET datcollversion = NULL WHERE oid = %s', oid)
                    ELSE format('ALTER DATABASE %I REFRESH COLLATION VERSION', datname) END
            FROM pg_database WHERE datname = 'dhis' AND datcollversion <> coalesce(pg_database_collation_actual_version(oid), '')" || exit
        sql dhis -c "SELECT name, collversion, actual, CASE WHEN actual IS NULL
                    THEN format('UPDATE pg_collation SET collversion = NULL WHERE oid = %s', oid)
                    ELSE format('ALTER COLLATION %s REFRESH VERSION', name) END
            FROM (SELECT c.oid, format('%I.%I', nspname, collname) AS name, collversion, pg_collation_actual_version(c.oid) AS actual
                FROM pg_collation c JOIN pg_namespace n ON n.oid = collnamespace
                WHERE EXISTS (SELECT FROM pg_index WHERE c.oid = ANY (indcollation)) OFFSET 0) used
            WHERE collversion <> coalesce(actual, '')"
    ) || return
    while IFS='|' read -r name recorded actual refresh; do
        warn "indexes were built with version $recorded of the collation $name and this image has ${actual:-none}: they may miss rows. Fix: eval \"\$(pulumi stack output psql) -c 'REINDEX DATABASE dhis' -c '$refresh'\""
    done < <([[ -z $found ]] || printf '%s\n' "$found")
}

# While the primary runs, every ten seconds: tables that replicas cannot read, slots of replicas that are removed, the
# analytics job, and copies in the dump cache where the disk is nearly full.
maintain() {
    : >"$run/idle-slots"
    while sleep 10; do
        set_logged || :
        drop_stale_slots || :
        record_analytics || :
        ! lacks "$data" 1048576 || remove_copies_while lacks "$data" 1048576
    done
}

# Make unlogged tables logged once there is a replica, of which a slot tells: those of analytics, built without one.
set_logged() {
    local unlogged
    [[ $(sql postgres -c 'SELECT count(*) FROM pg_replication_slots WHERE NOT temporary') != 0 ]] || return 0
    unlogged=$(sql dhis -c "SELECT string_agg(oid::regclass::text, ' ') FROM pg_class WHERE relkind = 'r' AND relpersistence = 'u'")
    [[ -n $unlogged ]] || return 0
    log "making unlogged tables logged, which a replica cannot read: $unlogged"
    sql dhis -c "SET lock_timeout = '3s'" -f "$home/set-logged.sql" >/dev/null 2>"$run/psql.log" ||
        log "a table stays unlogged until the next try: $(psql_error "$run/psql.log")"
}

# Drop slots that have been idle for an hour: one of a removed replica would hold WAL until its limit. A replica that comes
# back later creates its slot again, or clones.
drop_stale_slots() {
    local now slot since
    now=$(date +%s)
    : >"$run/idle-slots.new"
    while read -r slot; do
        since=$(sed -n "s/^$slot //p" "$run/idle-slots")
        echo "$slot ${since:-$now}" >>"$run/idle-slots.new"
        ((now - ${since:-$now} < 3600)) ||
            { sql postgres -c "SELECT pg_drop_replication_slot('$slot')" >/dev/null && log "dropped the stale slot $slot: idle for an hour"; }
    done < <(sql postgres -c 'SELECT slot_name FROM pg_replication_slots WHERE NOT active AND NOT temporary')
    mv "$run/idle-slots.new" "$run/idle-slots"
}
