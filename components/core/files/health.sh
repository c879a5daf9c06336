#!/bin/bash
# Readiness of a core: passes when GET /api/ping answers 200, else prints one line that says why not. It changes
# nothing; watchdog.sh ends a core that cannot recover.
set -u

# shellcheck source=components/core/files/probe.sh
. "${0%/*}/probe.sh"

status=$(probe)
case $status in
200) exit 0 ;;
closed) echo "DHIS2 is starting or migrating the database: port $PROBE_PORT is not open yet" ;;
silent) echo "GET /api/ping on port $PROBE_PORT got no answer within $PROBE_SECONDS s" ;;
404) echo "DHIS2 failed to start: GET /api/ping answers 404" ;;
*) echo "GET /api/ping on port $PROBE_PORT answers $status" ;;
esac
exit 1
