# shellcheck shell=bash
# Sourced by health.sh and watchdog.sh: one request to the probe connector of server.xml.

PROBE_PORT=8090
PROBE_SECONDS=5

# Print the HTTP status of GET /api/ping; `closed` when nothing listens on the port, `silent` without an answer in time.
# The request is Bash's own: DHIS2's images have Bash, and not all of them curl.
probe() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout "$PROBE_SECONDS" bash -c '
        exec 3<>"/dev/tcp/127.0.0.1/$0" || { echo closed; exit; }
        printf "GET /api/ping HTTP/1.0\r\nHost: localhost\r\n\r\n" >&3
        read -r _ status _ <&3
        echo "${status:-silent}"' "$PROBE_PORT" 2>/dev/null || echo silent
}
