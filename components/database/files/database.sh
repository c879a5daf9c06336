#!/bin/bash
# The database containers: database.sh primary|replica, as an unprivileged user, instead of the image's entrypoint.
#
# The data volume holds one finished data directory (`cluster`) and a marker that vouches for it: `restored` on a primary,
# `cloned` on a replica. It is created in `staging`, renamed, and marked last; without its marker it is removed, unless
# it was marked in `staging` already. So the process may be killed at any point.
set -Eeuo pipefail
umask 077

# shellcheck source=components/database/files/environment.sh
source /opt/dhis2-cluster/environment.sh
cluster=$data/cluster # the finished data directory
staging=$data/staging

role=${1:-}
case $role in
primary)
    # shellcheck source=components/database/files/restore.sh
    source "$home/restore.sh"
    # shellcheck source=components/database/files/restored-copy.sh
    source "$home/restored-copy.sh"
    # shellcheck source=components/database/files/restore-plain.sh
    source "$home/restore-plain.sh"
    # shellcheck source=components/database/files/restore-archive.sh
    source "$home/restore-archive.sh"
    # shellcheck source=components/database/files/passwords.sh
    source "$home/passwords.sh"
    # shellcheck source=components/database/files/analytics.sh
    source "$home/analytics.sh"
    # shellcheck source=components/database/files/restore-request.sh
    source "$home/restore-request.sh"
    # shellcheck source=components/database/files/primary.sh
    source "$home/primary.sh"
    ;;
replica)
    # shellcheck source=components/database/files/replica.sh
    source "$home/replica.sh"
    # shellcheck source=components/database/files/standby-checks.sh
    source "$home/standby-checks.sh"
    ;;
*) fatal 'database.sh has the roles primary and replica' ;;
esac

export PGTZ=UTC LC_MESSAGES=C
trap stop TERM INT
trap 'log "${BASH_SOURCE[0]##*/}, line $LINENO failed: $BASH_COMMAND"' ERR
find_binaries
check_folders
# A killed server leaves its process id behind. In the next run of the container that id is, more often than not, one of
# this script's own processes, and the server would take it for another server. There is none: the volume is this
# container's alone.
rm -f "$cluster/postmaster.pid"
"$role"
