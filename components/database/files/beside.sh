#!/bin/bash
# Run a command for the primary in a container beside it, with its files and volumes: beside.sh COMMAND...
# The server's socket is on a shared volume, but 127.0.0.1 is this container, so psql gets the server's name instead, and
# the password of the role DHIS2 connects as: a passfile has it for the other name.
set -Eeuo pipefail

psql() {
    if [[ " $* " == *' -h 127.0.0.1 '* ]]; then
        local -x PGPASSWORD
        PGPASSWORD=$(<"/opt/dhis2-cluster/secrets/app-password")
    fi
    command psql "${@/#127.0.0.1/postgres-primary}"
}
export -f psql
exec "$@"
