#!/bin/sh
# Healthcheck of the cache: passes when the server accepts the password, has read its AOF (until then it answers
# LOADING), and accepts writes. Changes nothing in the server.
set -eu

# shellcheck source=components/cache/files/client.sh
. "${0%/*}/client.sh"

refusals=/tmp/refused-writes # how many writes were refused for lack of memory; modified when the number changes

# The value of a field of INFO; empty where the server has none.
field() {
    printf '%s\n' "$answer" | tr -d '\r' | sed -n "s/^$1:\(count=\)\{0,1\}//p"
}

answer=$(printf 'PING\nINFO memory errorstats\n' | client 2>&1) || true
case $answer in
PONG*) ;;
MISCONF*)
    echo 'fatal: the cache cannot write its AOF and refuses writes: the disk of its volume is full. Free some space: docker system df'
    exit 1
    ;;
*)
    printf 'the cache answers: %s\n' "$answer" | head -n 1
    exit 1
    ;;
esac

# After the answer: a server that answers may be the one that start.sh has just started without that AOF.
if [ -e /data/damaged.pending/aof ]; then
    echo 'the cache starts with an empty AOF, the one before is set aside'
    exit 1
fi

# The server refuses writes while it uses more than maxmemory, by its own count. With users writing at the edge that
# changes from one moment to the next, so a refusal counts for a minute.
refused=$(field errorstat_OOM)
[ "${refused:-0}" -eq "$(cat "$refusals" 2>/dev/null || echo 0)" ] || echo "$refused" >"$refusals"
used=$(($(field used_memory) - $(field mem_not_counted_for_evict)))
maximum=$(field maxmemory)
if [ "$used" -gt "$maximum" ] || [ -n "$(find "$refusals" -mmin -1 2>/dev/null)" ]; then
    # maxmemory is three quarters of cacheMemory; twice as much is suggested.
    printf 'fatal: the cache is full (%s of %s MB): it refuses writes, and users cannot log in. Give it more memory: pulumi config set cacheMemory %s && pulumi up\n' \
        "$((used >> 20))" "$((maximum >> 20))" "$(((maximum >> 20) * 8 / 3))"
    exit 1
fi
