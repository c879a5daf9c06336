# A replica: cloned from its primary, then served and watched; cloned again when it can never catch up. POSIX sh.
# shellcheck shell=sh

: "${secrets:?}" "${data:?}" "${cluster:?}" "${staging:?}" "${run:?}"

cloned=$data/cloned # the marker
passfile=/tmp/replication.passfile
other_history="the primary's history is another one"

replica() {
    name=${REPLICA_NAME:?}
    slot=$(echo "$name" | tr - _)
    host=${PRIMARY_HOST:?}
    connection="host=$host port=5432 user=replicator passfile=$passfile application_name=$name connect_timeout=5"
    # A colon or backslash of the password is escaped: that is how a passfile has them.
    printf '%s:5432:*:replicator:%s\n' "$host" "$(sed 's/[\\:]/\\&/g' "$secrets/replication-password")" >"$passfile"
    while :; do
        why=$(why_clone)
        [ -z "$why" ] || clone "$why"
        rm -rf "$staging"
        follow && return
    done
}

# Ask the primary over the replication protocol.
ask_primary() {
    psql -X -q -A -t -w -F ' ' -d "$connection dbname=replication replication=true" -c "$1" 2>&1
}

# Print why there is nothing to start from; nothing when there is, also while the primary does not answer.
why_clone() {
    if [ ! -f "$cloned" ]; then
        if [ -e "$cluster" ]; then echo 'the last clone was not finished'; else echo 'the first start'; fi
    elif [ "$(cat "$cluster/PG_VERSION")" != "${major:?}" ]; then
        echo "the clone was made by PostgreSQL $(cat "$cluster/PG_VERSION"), this is $major"
    elif [ ! -f "$cluster/standby.signal" ]; then
        fatal "this replica was promoted and is a database of its own now; nothing was touched." \
            "Save what is in it, then remove its volume and deploy again: pulumi up --refresh"
    elif identity=$(ask_primary IDENTIFY_SYSTEM); then
        other_primary "$identity"
    fi
}

# Print what tells another primary in the answer to IDENTIFY_SYSTEM, if it is one.
other_primary() {
    theirs=${1%% *}
    ours=$(marked "$cloned" system_identifier)
    [ "$theirs" = "$ours" ] || echo "the primary is another database (system identifier $theirs, not $ours)"
}

# Print what tells an older copy of the primary: it has less log than it once sent, which was on its disk by then.
older_primary() {
    had=$(echo "$1" | cut -d ' ' -f 3)
    [ "$(sql postgres -c "SELECT pg_lsn '$2' > '$had'" 2>/dev/null)" != t ] ||
        echo "it is ahead of its primary ($2, not $had), which is an older copy"
}

clone() {
    say "cloning the primary: $1"
    rm -f "$cloned"
    rm -rf "$cluster" "$staging"
    failures=0
    until try_clone; do
        failures=$((failures + 1))
        [ "$failures" -lt 10 ] ||
            fatal "the primary could not be cloned: $reason. See why in its log, then: pulumi up --refresh"
        say "cloning did not work, trying again: $reason"
        sleep 3
    done
    mv "$staging" "$cluster"
    printf 'system_identifier=%s\nprimary=%s\n' "$system" "$host" | write_marker "$cloned"
    say 'the clone is complete'
}

# One base backup into the staging folder; on failure `reason` says what the server or pg_basebackup said.
try_clone() {
    rm -rf "$staging"
    waited=0
    until identity=$(ask_primary IDENTIFY_SYSTEM); do
        case $identity in *'authentication failed'*) reason=$identity; return 1 ;; esac
        [ $((waited % 10)) -ne 0 ] || say "waiting for the primary $host"
        sleep 1
        waited=$((waited + 1))
    done
    system=${identity%% *}
    # A slot once used may have moved past what a new clone needs: always one of its own.
    if ! reason=$(make_slot); then
        case $reason in *'already exists'*) ;; *) return 1 ;; esac
        ask_primary "DROP_REPLICATION_SLOT $slot" >/dev/null || :
        if ! reason=$(make_slot); then return 1; fi
    fi
    rm -f "$run/backup-failed"
    {
        pg_basebackup -d "$connection" -w -D "$staging" -S "$slot" -X stream -c fast -P 2>&1 ||
            : >"$run/backup-failed"
    } | backup_progress
    if [ -f "$run/backup-failed" ]; then
        reason=$(cat "$run/backup-said")
        return 1
    fi
    : >"$staging/standby.signal"
}

make_slot() {
    ask_primary "CREATE_REPLICATION_SLOT $slot PHYSICAL RESERVE_WAL"
}

# pg_basebackup reports each second; of it a line every five, and the last words for a failure.
backup_progress() {
    next=0
    : >"$run/backup-said"
    while IFS= read -r line; do
        case $line in
        *%*)
            now=$(date +%s)
            [ "$now" -ge "$next" ] || continue
            next=$((now + 5))
            say "base backup $(echo "$line" | sed 's/.*(\([0-9]*\)%.*/\1/') %"
            ;;
        *error*) printf '%s\n' "$line" >"$run/backup-said" ;;
        esac
    done
}

# Serve and watch. True when the container is to end, false when the primary has to be cloned again.
follow() {
    write_configuration
    rm -f "$run/hopeless" "$run/log"
    mkfifo "$run/log"
    read_log <"$run/log" &
    reader=$!
    serve "$cluster" -c primary_conninfo="$connection" -c primary_slot_name="$slot" 2>"$run/log" &
    server=$!
    say "PostgreSQL $major follows $host"
    watch_primary &
    watcher=$!
    code=0
    wait_for "$server" || code=$?
    kill "$watcher" 2>/dev/null || :
    # Unless it was killed it has ended its children too, and the reader comes to its last words.
    [ "$code" -gt 128 ] || wait "$reader" || :
    server=
    ! asked_to_stop || return 0
    if [ -f "$run/reclone" ]; then
        say "cloning again: $(cat "$run/reclone")"
        rm -f "$run/reclone" "$cloned"
        return 1
    fi
    fatal "the server ended by itself ($code); its last lines above say why"
}

# Pass the server's log on, and keep the last line that says streaming can never go on.
read_log() {
    refused='' times=0
    while IFS= read -r line; do
        printf '%s\n' "$line" >&2
        case $line in
        *'requested WAL segment'*'has already been removed'*) hopeless "the primary has removed the log it needs" ;;
        *'forked off current database system timeline'* | *'highest timeline'*'is behind recovery timeline'*)
            hopeless "$other_history" ;;
        # The last words of a server that has learned of the other history before it was ended.
        *'FATAL:'*'requested timeline'*'is not a child of this server'*) echo "$other_history" >"$run/reclone" ;;
        *"replication slot \"$slot\" does not exist"*) : >"$run/no-slot" ;;
        # One such line is what the end of the log looks like. The same again, with no failed connection in between: what
        # the primary has sent does not go on from there, since it has written that part of the log anew.
        *'LOG:  invalid '*' at '*/* | *'LOG:  incorrect '*' at '*/* | *'LOG:  record with '*' at '*/* | \
            *'LOG:  there is no contrecord flag at '* | *'LOG:  unexpected pageaddr '* | *'LOG:  invalid magic number '*)
            if [ "$refused" = "${line#*LOG:  }" ]; then times=$((times + 1)); else refused=${line#*LOG:  } times=1; fi
            [ "$times" -lt 3 ] || hopeless "$other_history"
            ;;
        *'FATAL:  could not '*) times=0 ;;
        esac
    done
}

hopeless() {
    echo "$1" >"$run/hopeless.new"
    mv "$run/hopeless.new" "$run/hopeless"
}

# Every five seconds: see whether the primary is another one or this one out of reach. One that sends was looked at when
# it began to: that it is an older copy shows only until it has written as much again.
watch_primary() {
    known=
    while sleep 5; do
        receiver=$(sql postgres -c "SELECT pid FROM pg_stat_wal_receiver WHERE status = 'streaming'" 2>/dev/null) || receiver=
        if [ -n "$receiver" ]; then
            rm -f "$run/hopeless" "$run/no-slot"
            [ "$receiver" != "$known" ] || continue
        fi
        # Before the primary is asked how far it is: a little later this may have more.
        position=$(sql postgres -c 'SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())' 2>/dev/null) || position=
        identity=$(ask_primary IDENTIFY_SYSTEM) || continue
        known=$receiver
        why=$(other_primary "$identity")
        if [ -z "$why" ] && [ -n "$position" ]; then why=$(older_primary "$identity" "$position"); fi
        if [ -z "$why" ] && [ -f "$run/hopeless" ]; then why=$(cat "$run/hopeless"); fi
        if [ -n "$why" ]; then
            echo "$why" >"$run/reclone"
            kill -INT "$server"
            return
        fi
        # Its log may still be there: with a slot it goes on, or is told that it is gone.
        if [ -f "$run/no-slot" ]; then
            rm -f "$run/no-slot"
            say "the slot $slot is missing on the primary; making it again"
            make_slot >/dev/null || :
        fi
    done
}
