# What both roles of database.sh use. Sourced by it.
# shellcheck shell=bash

: "${home:?}" "${data:?}" "${run:?}"

major=0   # of this image's PostgreSQL
user=''   # the name of the user this runs as
server='' # process id of the server
socket='' # folder of the temporary server's socket, while there is one

# A primary's marker.
restored=$data/restored
# Of the primary's last start, for pulumi up.
warnings=$run/warnings

log() { printf '%s\n' "$*" >&2; }

warn() {
    log "warning: $*"
    record_warning "$*"
}

record_warning() { printf 'warning=%s\n' "$*" >>"$warnings"; }

fatal() {
    log "fatal: $*"
    exit 1
}

# Put the newest server's programs on PATH where the image has not.
find_binaries() {
    local folder version newest=0
    if ! command -v initdb >/dev/null; then
        for folder in /usr/lib/postgresql/*/bin; do
            [[ -x $folder/initdb ]] || continue
            version=$("$folder/initdb" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
            ((version <= newest)) || { newest=$version && PATH=$folder:$PATH; }
        done
    fi
    command -v initdb >/dev/null ||
        fatal 'this image has no PostgreSQL server; go back to the default one: pulumi config rm databaseImage'
    major=$(postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    ((major >= 12)) ||
        fatal "PostgreSQL $major is too old, 12 is needed; go back to the default image: pulumi config rm databaseImage"
}

check_folders() {
    user=$(id -un 2>/dev/null) ||
        fatal "this image has no user $(id -u), which PostgreSQL insists on; choose one built on Debian's postgres image"
    (: >"$data/.writable") 2>/dev/null ||
        fatal "$data is not writable for user $(id -u): the volume belongs to another user or its disk is full; see df and docker volume inspect"
    rm -f "$data/.writable"
    (: >"$run/.writable") 2>/dev/null || fatal "$run is not writable for user $(id -u): a tmpfs is missing there"
}

# The uploaded configuration with the lines that need this version (and, with `restore`, those for restoring) active.
write_configuration() {
    awk -v major="$major" -v restore="${1:-}" '
        /^#from [0-9]+: / { from = $2; sub(/:/, "", from); if (major >= from + 0) sub(/^#from [0-9]+: /, "") }
        /^#restore: / && restore { sub(/^#restore: /, "") }
        { print }' "$home/postgresql.conf" >"$run/postgresql.conf"
    printf 'server %s postgres\n' "$user" >"$run/pg_ident.conf"
}

# Become the server of a data directory with the final configuration; further arguments are the server's.
serve() {
    local directory=$1
    shift
    exec postgres -D "$directory" -c config_file="$run/postgresql.conf" -c hba_file="$home/pg_hba.conf" \
        -c ident_file="$run/pg_ident.conf" "$@"
}

# SQL as superuser over the unix socket: sql DATABASE [psql options].
sql() {
    local database=$1
    shift
    psql -X -q -A -t -w -v ON_ERROR_STOP=1 -h "${socket:-$run}" -U postgres -d "$database" "$@"
}

# Wait until the server started as $server answers on the socket; false when it ended.
wait_until_ready() {
    until sql postgres -c 'SELECT 1' >/dev/null 2>&1; do
        kill -0 "$server" 2>/dev/null || return 1
        sleep 0.2
    done
}

# The value of a key in a marker file; empty without it.
marker_value() {
    [[ ! -f $1 ]] || sed -n "s/^$2=//p" "$1"
}

# Write a file whole or not at all: its text is stdin. The data directory it vouches for has reached the disk before.
write_marker() {
    cat >"$1.new"
    sync "$1.new"
    mv "$1.new" "$1"
    sync "${1%/*}"
}

# Replace lines of a primary's marker: change_marker KEY=VALUE...; an empty value removes one.
change_marker() {
    local line
    cp "$restored" "$run/marker"
    for line in "$@"; do
        sed -i "/^${line%%=*}=/d" "$run/marker"
        [[ -z ${line#*=} ]] || printf '%s\n' "$line" >>"$run/marker"
    done
    write_marker "$restored" <"$run/marker"
}

# Wait for a process whatever signals arrive meanwhile; its exit code is the result.
wait_for() {
    local code
    while :; do
        code=0
        wait "$1" || code=$?
        kill -0 "$1" 2>/dev/null || return "$code"
    done
}

stopping=
stop_requested() { [[ -n $stopping ]]; }

# On TERM or INT: stop the server as users expect (fast, with a checkpoint), or at once what may be thrown away.
stop() {
    stopping=1
    if [[ -n ${server:-} && -z ${socket:-} ]]; then
        kill -INT "$server" 2>/dev/null || :
    else
        log 'stopped before it was finished; the next start begins this step again'
        exit 143
    fi
}
