# Where the scripts of a database container have what they work on, and what they share. Sourced by database.sh, and by each
# script of the primary that is run in its container by itself.
# shellcheck shell=bash
# shellcheck disable=SC2034 # for those

home=/opt/dhis2-cluster
secrets=$home/secrets
data=/var/lib/postgresql
run=/var/run/postgresql # in memory

# shellcheck source=components/database/files/lib.sh
source "$home/lib.sh"
