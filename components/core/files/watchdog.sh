#!/bin/bash
# Liveness of a core: runs beside the JVM and ends it where only a restart helps. Docker then restarts the container.
#   watchdog.sh JVM_PID
#
# It ends a core
# - whose web application failed to start: Tomcat answers 404 from then on and does not try again;
# - whose probe connector accepts connections and stays silent: the JVM is stopped or hangs;
# - that has closed its port and is still running after Docker's stop timeout.
# It never ends a core that has not opened its port yet: migrating a large database takes hours. Nor one whose request
# threads are all busy: the probe connector has threads of its own.
set -u

# shellcheck source=components/core/files/probe.sh
. "${0%/*}/probe.sh"

INTERVAL_SECONDS=5
FAILED_PROBES=2
# About 40 s with PROBE_SECONDS. Probes are counted, not seconds: a paused container or host is not a silent JVM.
SILENT_PROBES=4
CLOSED_PROBES=18
REPORT_SECONDS=60
STOP_SECONDS=4

jvm=$1

is_running() {
    kill -0 "$jvm" 2>/dev/null
}

# End the JVM for a reason, with `dump` after a thread dump. A stopped process handles signals only when continued.
end() {
    echo "fatal: $1; the core is ended, and Docker restarts it"
    kill -CONT "$jvm"
    if [ "${2:-}" = dump ]; then
        kill -QUIT "$jvm"
        sleep 1
    fi
    kill -TERM "$jvm"
    local waited
    for ((waited = 0; waited < STOP_SECONDS; waited++)); do
        is_running || exit 0
        sleep 1
    done
    echo "watchdog: the core did not exit within $STOP_SECONDS s of SIGTERM and is killed"
    # The kernel drops a KILL that PID 1 gets from inside its container. A JVM takes SEGV for a fault of its own.
    if [ "$jvm" -eq 1 ]; then kill -SEGV 1; else kill -KILL "$jvm"; fi
    exit 0
}

opened=false
last=''
repeats=0
reported=0
while is_running; do
    sleep "$INTERVAL_SECONDS"
    status=$(probe)
    if [ "$status" = "$last" ]; then repeats=$((repeats + 1)); else repeats=1; fi
    last=$status
    if [ "$status" != closed ]; then
        opened=true
    elif [ "$opened" = false ] && [ "$((SECONDS - reported))" -ge "$REPORT_SECONDS" ]; then
        reported=$SECONDS
        echo "watchdog: DHIS2 is still starting or migrating the database after $SECONDS s"
    fi
    if [ "$status" = 404 ] && [ "$repeats" -ge "$FAILED_PROBES" ]; then
        end "DHIS2 failed to start, as the lines above say"
    elif [ "$status" = silent ] && [ "$repeats" -ge "$SILENT_PROBES" ]; then
        end "no answer to GET /api/ping $repeats times in a row" dump
    elif [ "$status" = closed ] && [ "$opened" = true ] && [ "$repeats" -ge "$CLOSED_PROBES" ]; then
        end "the core has closed its port and does not exit" dump
    fi
done
