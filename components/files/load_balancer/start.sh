#!/bin/sh
# Starts NGINX. Its figures (stub_status) are served inside the container alone, where this build has the module:
# a configuration that names a module it lacks would not start.
set -eu

status=/tmp/status.conf
: >"$status"
if nginx -V 2>&1 | grep -q -- --with-http_stub_status_module; then
    cp /opt/dhis2-cluster/status.conf "$status"
fi
exec nginx -c /opt/dhis2-cluster/nginx.conf
