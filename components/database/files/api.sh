#!/bin/bash
# A request of `pulumi up` to the API of DHIS2 at a core, as the user admin. Prints the whole response, nothing without one. Run in
# the primary's container, which has the password:
#   api.sh HOST PORT PASSWORD SECONDS METHOD PATH [FILE TYPE]
# PASSWORD names the one of admin: setting, generated, default. FILE is a body of this content type; it is removed.
set -Eeuo pipefail
umask 077

# shellcheck source=components/database/files/environment.sh
source /opt/dhis2-cluster/environment.sh
# shellcheck source=components/database/files/passwords.sh
source "$home/passwords.sh"

core=$1 port=$2 request_seconds=$4
[[ -z ${7:-} ]] || trap 'rm -f "$7"' EXIT
request "$5" "$6" admin <(admin_password "$3") "${7:-}" "${8:-}"
