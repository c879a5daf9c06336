#!/bin/sh
# Start NGINX. Its metrics (stub_status) are served inside the container only, and only where this build has the module:
# with a directive of a module it lacks NGINX does not start.
set -eu

status=/tmp/status.conf
: >"$status"
if nginx -V 2>&1 | grep -q -- --with-http_stub_status_module; then
    cp /opt/dhis2-cluster/status.conf "$status"
fi
# A connection from the Docker host to the published port comes from the gateway of the network that publishes it: the
# one with the default route. The kernel lists addresses as hexadecimal numbers, in little endian.
hex=$(awk '$2 == "00000000" { print $3; exit }' /proc/net/route | sed 's/\(..\)\(..\)\(..\)\(..\)/0x\4 0x\3 0x\2 0x\1/')
# shellcheck disable=SC2086 # four numbers
sed "s/@docker_host@/$(printf '%d.%d.%d.%d' ${hex:-127 0 0 1})/" /opt/dhis2-cluster/nginx.conf >/tmp/nginx.conf
# Docker's default soft limit can be 1024 files, and a request takes two.
# shellcheck disable=SC3045 # dash and busybox have it
ulimit -n "$(ulimit -H -n)" || :
# Not `auto`: with many processors it starts too many workers, and each takes 7 MB from the start.
workers=$(nproc 2>/dev/null || echo 2)
[ "$workers" -le 4 ] || workers=4
exec nginx -c /tmp/nginx.conf -g "worker_processes $workers;"
