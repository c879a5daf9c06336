#!/bin/sh
# Run the server of the cache. Sessions are worth less than service: an AOF that this server cannot load (damaged, or
# written by a newer version) is set aside, and the server starts with an empty one. It is put back when the server
# does not start with an empty AOF either: then the AOF was not the cause.
set -eu

# shellcheck source=components/cache/files/client.sh
. "${0%/*}/client.sh"

umask 077 # a session is as good as a password
conf=${0%/*}/valkey.conf
data=$(sed -n 's/^dir //p' "$conf")
aof=$data/$(sed -n 's/^appenddirname "\(.*\)"$/\1/p' "$conf")
damaged=$data/damaged         # the last AOF that was set aside, with the marker that `pulumi up` reads and renames
pending=$data/damaged.pending # it, until the server is ready without it
maxmemory_mb=$(sed -n 's/^maxmemory \([0-9]*\)mb$/\1/p' "$conf")

server='' # process id of the server
ready=''
stopping=''

fatal() {
    echo "fatal: $*" >&2
    exit 1
}

check_volume() {
    head -c 4096 /dev/zero 2>/dev/null >"$data/.writable" ||
        fatal "$data is not writable for user $(id -u): the volume belongs to another user or its disk is full; see df and docker volume inspect"
    rm -f "$data/.writable"
    for file in "$aof" "$aof"/*; do
        [ ! -e "$file" ] || { [ -r "$file" ] && [ -w "$file" ]; } ||
            fatal "$file is not readable and writable for user $(id -u): it belongs to another user; see docker volume inspect"
    done
}

# Print the damage of the AOF that the server does not report: it would hang, or load half of the sessions in silence.
silent_damage() {
    [ -d "$aof" ] || return 0
    find "$aof" -mindepth 1 ! -type f ! -type l | sed -n '1s|.*/\(.*\)|\1 is no regular file|p'
    for file in "$aof"/*.base.*; do
        [ ! -e "$file" ] || [ -s "$file" ] || echo "${file##*/} is empty"
    done
    for file in "$aof"/*.incr.aof; do
        [ ! -s "$file" ] || grep -qsF "file ${file##*/} " "$aof"/*.manifest ||
            echo "the manifest does not list ${file##*/}"
    done
}

set_aside() {
    rm -rf "$pending"
    mkdir "$pending"
    printf 'reason=%s\n' "$1" >"$pending/marker"
    mv "$aof" "$pending/aof"
}

put_back() {
    rm -rf "$aof"
    mv "$pending/aof" "$aof"
    rm -rf "$pending"
    fatal "the cache exits with code $1 with an empty AOF too; the AOF is put back. The lines above say why"
}

# The server runs without the AOF that was set aside: from now on it is the one that is kept.
keep_aside() {
    printf 'at=%s\n' "$(date -u '+%Y-%m-%d %H:%M:%S UTC')" >>"$pending/marker"
    echo "the AOF of the cache cannot be loaded ($(sed -n 's/^reason=//p' "$pending/marker")): all sessions are dropped, users have to log in again; the AOF is kept in $damaged" >&2
    rm -rf "$damaged"
    mv "$pending" "$damaged" # last: from then on the cache can be healthy
}

# Run the server until it exits; its exit code is the result. `ready` is set once it has loaded the AOF.
serve() {
    [ -z "$stopping" ] || exit 143
    valkey-server "$conf" &
    server=$!
    [ -z "$stopping" ] || kill -TERM "$server" # it came before the server did
    while [ -z "$ready" ] && kill -0 "$server" 2>/dev/null; do
        ! echo INFO persistence | client 2>/dev/null | grep -q '^loading:0' || ready=1
        [ -z "$ready" ] || [ ! -e "$pending/aof" ] || keep_aside
        [ -n "$ready" ] || sleep 0.2
    done
    # A signal ends the wait, not the server.
    while :; do
        code=0
        wait "$server" || code=$?
        kill -0 "$server" 2>/dev/null || break
    done
    return "$code"
}

command -v valkey-server >/dev/null ||
    fatal 'this image has no valkey-server; go back to the default one: pulumi config rm cacheImage'
trap 'stopping=1; kill -TERM "$server" 2>/dev/null || :' TERM INT
check_volume
# Those of DHIS2 versions and dumps of before, which no server reads again.
for old in "$data"/appendonly-*; do
    [ "$old" = "$aof" ] || rm -rf "$old"
done

if [ ! -e "$pending/aof" ]; then # else the start before was killed in between
    damage=$(silent_damage | head -n 1)
    [ -z "$damage" ] || set_aside "$damage"
fi
code=0
serve || code=$?
if [ -n "$ready" ] || [ -n "$stopping" ] || [ "$code" -eq 0 ]; then
    exit "$code"
fi
if [ "$code" -eq 137 ]; then
    # maxmemory is three quarters of cacheMemory; twice as much is suggested.
    fatal "the cache was killed while it loaded its AOF; when it was OOM-killed, give it more memory: pulumi config set cacheMemory $((maxmemory_mb * 8 / 3)) && pulumi up"
fi
if [ ! -e "$pending/aof" ]; then
    [ -e "$aof" ] || exit "$code"
    set_aside "the server exits with code $code while it loads it"
    code=0
    serve || code=$?
fi
if [ -z "$ready" ] && [ -z "$stopping" ]; then
    put_back "$code"
fi
exit "$code"
