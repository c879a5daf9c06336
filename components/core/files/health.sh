#!/bin/sh
# Health check of a core: healthy when /api/ping answers 200. It also ends a core that will not become healthy by
# itself; the engine starts it again.
#
# Environment: BOOT_SECONDS  how long a boot may take, migrations included (600)
#              FAILURES      how many failures in a row end a core that has been healthy (3)
#              LOOK          set by who looks beside the engine: nothing is counted, nothing ended
set -u

URL=http://127.0.0.1:8080/api/ping
ANSWER_SECONDS=5
STOP_SECONDS=4
STATE=/tmp/core-health

# The status of /api/ping: 000 when nothing answers. DHIS2's images differ in what they have.
ping_status() {
  if command -v curl >/dev/null; then
    curl --silent --output /dev/null --max-time "$ANSWER_SECONDS" --write-out '%{http_code}' "$URL"
  elif command -v wget >/dev/null; then
    # Not -T: GNU's would try again.
    timeout "$ANSWER_SECONDS" wget -S -O /dev/null "$URL" 2>&1 | sed -n 's/^ *HTTP[^ ]* \([0-9]*\).*/\1/p' | tail -n 1
  else
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout "$ANSWER_SECONDS" bash -c 'exec 3<>/dev/tcp/127.0.0.1/8080 || exit 1
      printf "GET /api/ping HTTP/1.0\r\nHost: localhost\r\n\r\n" >&3
      read -r _ status _ <&3 && echo "$status"' 2>/dev/null
  fi
}

# When the first process started, in ticks: what an earlier run of the container left behind does not count.
run_id() {
  sed 's/.*) //' /proc/1/stat | cut -d ' ' -f 20
}

# Sets began (epoch seconds), been_healthy (0 or 1), failures and absent (in a row), ending (0 or 1).
load_state() {
  began=$(date +%s) been_healthy=0 failures=0 absent=0 ending=0
  [ -r "$STATE" ] || return 0
  read -r run fields <"$STATE" || return 0
  [ "$run" = "$(run_id)" ] || return 0
  # shellcheck disable=SC2086 # five numbers
  set -- $fields
  [ $# -eq 5 ] && began=$1 been_healthy=$2 failures=$3 absent=$4 ending=$5
  return 0
}

save_state() {
  echo "$(run_id) $began $been_healthy $failures $absent $ending" >"$STATE.new" && mv "$STATE.new" "$STATE"
}

# To the container's log as well: what a health check prints goes elsewhere.
say() {
  echo "$1"
  { echo "$1" >/proc/1/fd/2; } 2>/dev/null || true
}

java_processes() {
  for folder in /proc/[0-9]*; do
    [ "$(cat "$folder/comm" 2>/dev/null)" = java ] && echo "${folder#/proc/}"
  done
}

running() {
  [ -n "$(java_processes)" ]
}

# Asks the first process to end, and leaves nothing alive that does not. A stopped process hears nothing until it is
# continued. The kernel spares the first process from what is sent inside the container unless it listens for it; a JVM
# listens for SEGV, takes it for its own fault and aborts.
end() {
  say "fatal: $1; the core is ended so that the engine starts it again"
  if [ "$ending" -eq 0 ]; then
    ending=1
    save_state
    kill -TERM 1
    for process in $(java_processes); do kill -CONT "$process"; done
    waited=0
    while [ "$waited" -lt "$STOP_SECONDS" ] && running; do
      sleep 1
      waited=$((waited + 1))
    done
  fi
  running || exit 1
  say "the core does not end when asked; it is killed"
  for process in $(java_processes); do
    if [ "$process" -eq 1 ]; then kill -SEGV 1; else kill -KILL "$process"; fi
  done
  exit 1
}

# What every thread is doing, for whoever looks for the cause. It goes to the core's own log.
dump_threads() {
  for process in $(java_processes); do
    kill -CONT "$process" && kill -QUIT "$process"
  done
  sleep 1
}

main() {
  if [ -n "${LOOK:-}" ]; then
    [ "$(ping_status)" = 200 ]
    exit
  fi
  load_state
  status=$(ping_status) || true
  status=${status:-000}

  if [ "$status" = 200 ]; then
    been_healthy=1 failures=0 absent=0 ending=0
    save_state
    exit 0
  fi

  failures=$((failures + 1))
  if [ "$status" = 404 ]; then absent=$((absent + 1)); else absent=0; fi
  save_state
  echo "GET $URL answered $status"

  elapsed=$(($(date +%s) - began))
  # The port opens after the web application: with nothing behind it, DHIS2 failed to start, and does not try again.
  [ "$absent" -ge 2 ] && end "DHIS2 failed to start (its reason is above)"
  if [ "$been_healthy" -eq 1 ]; then
    [ "$failures" -ge "${FAILURES:-3}" ] && dump_threads && end "no answer to /api/ping $failures times in a row"
  else
    [ "$elapsed" -gt "${BOOT_SECONDS:-600}" ] && end "not started after $elapsed seconds"
  fi
  exit 1
}

main
