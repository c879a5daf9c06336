#!/bin/bash
# Restore a set of a backup. Sourced by database.sh, and run in its container by `dhis2-cluster restore`, which restarts it then:
#   restore-set.sh request SET [own]  at the next start, restore the set that the backup container has unpacked; `own`: it was used
#                                     with an encryption.password that is in the set, and not the stack's
#   restore-set.sh matches FINGERPRINT  exit with 0 when the stack's encryption.password has this fingerprint
set -Eeuo pipefail
umask 077

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    home=/opt/dhis2-cluster
    secrets=$home/secrets
    data=/var/lib/postgresql
    run=/var/run/postgresql
    # shellcheck source=components/database/files/lib.sh
    source "$home/lib.sh"
    # shellcheck source=components/database/files/passwords.sh
    source "$home/passwords.sh"
    find_binaries
fi

request=$data/restore-request
unpacked=/var/tmp/unpacked # in the volume of the backups

# Restore the requested set; the database before stays until it is whole. The request is removed first: where the restore
# fails or is killed, the next start serves the database before.
restore_set() {
    local set own password=$encryption_password
    set=$(marker_value "$request" set)
    own=$(marker_value "$request" own)
    rm -f "$request"
    [[ -z $own ]] || password=$unpacked/encryption-password
    DUMP_NAME="backup $set" restored_set=$set encryption_password=$password restore "$unpacked/database.dump"
    [[ -z $own ]] || change_marker 'encryption_password=other' 'encryption_password_from=set'
}

request_set() {
    [[ $(marker_value "$unpacked/complete" set) == "$1" && -f $unpacked/database.dump ]] || fatal "the set $1 is not unpacked"
    printf 'set=%s\nown=%s\n' "$1" "${2:-}" | write_marker "$request"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    case ${1:-} in
    request) request_set "$2" "${3:-}" ;;
    matches) matches "$encryption_password" "$2" ;;
    *) fatal 'restore-set.sh has the commands request and matches' ;;
    esac
fi
