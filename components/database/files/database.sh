#!/bin/sh
# The database containers: database.sh primary|replica, as an unprivileged user, instead of the image's entrypoint.
#
# The data volume holds one finished database (cluster) and a marker that vouches for it: `seeded` on a primary,
# `cloned` on a replica. Whatever is made is made in `staging`, renamed, and marked last; without its marker a database
# is thrown away, so that the process may be killed at any point.
set -eu
umask 077

home=/opt/dhis2-cluster
secrets=$home/secrets
data=/var/lib/postgresql
cluster=$data/cluster # the finished database
staging=$data/staging
run=/var/run/postgresql # in memory

# shellcheck source=components/database/files/lib.sh
. "$home/lib.sh"

role=${1:-}
case $role in
primary)
    # shellcheck source=components/database/files/load.sh
    . "$home/load.sh"
    # shellcheck source=components/database/files/seed.sh
    . "$home/seed.sh"
    # shellcheck source=components/database/files/primary.sh
    . "$home/primary.sh"
    ;;
replica)
    # shellcheck source=components/database/files/replica.sh
    . "$home/replica.sh"
    ;;
*) fatal 'database.sh knows the roles primary and replica' ;;
esac

export PGTZ=UTC LC_MESSAGES=C
trap stop TERM INT
find_binaries
check_places
# A killed server leaves its process number behind. In the next run of the container that number is, more often than not,
# one of this script's own processes, and the server would take it for another server. There is none: the volume is this
# container's alone.
rm -f "${cluster:?}/postmaster.pid"
"$role"
