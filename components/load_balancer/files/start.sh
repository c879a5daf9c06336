#!/bin/sh
# Starts NGINX. Its figures (stub_status) are served inside the container alone, where this build has the module:
# a configuration that names a module it lacks would not start.
set -eu

status=/tmp/status.conf
: >"$status"
if nginx -V 2>&1 | grep -q -- --with-http_stub_status_module; then
    cp /opt/dhis2-cluster/status.conf "$status"
fi
# Engines allow a process 1024 files at first, and each request takes two.
# shellcheck disable=SC3045 # dash and busybox have it
ulimit -n "$(ulimit -H -n)" || :
# As many as NGINX's own `auto` would start are too many where the machine has many processors: each takes 7 MB at once.
workers=$(nproc 2>/dev/null || echo 2)
[ "$workers" -le 4 ] || workers=4
exec nginx -c /opt/dhis2-cluster/nginx.conf -g "worker_processes $workers;"
