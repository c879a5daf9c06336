#!/bin/bash
# Restore a running primary again: sourced by database.sh, and run in its container by `dhis2-cluster restore` and `reset`, which
# restart it then:
#   restore-request.sh backup SET [own]     at the next start, restore the set that the backup container has unpacked; `own`: it was
#                                           used with an encryption.password that is in the set, and not the stack's
#   restore-request.sh dump                 at the next start, restore the dump of the stack again
#   restore-request.sh check-dump           fail where that dump is not in the dump cache any more
#   restore-request.sh matches FINGERPRINT  exit with 0 when the stack's encryption.password has this fingerprint
set -Eeuo pipefail
umask 077

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    # shellcheck source=components/database/files/environment.sh
    source /opt/dhis2-cluster/environment.sh
    # shellcheck source=components/database/files/passwords.sh
    source "$home/passwords.sh"
    find_binaries
fi

request=$data/restore-request
unpacked=/var/tmp/unpacked # in the volume of the backups
valid_seconds=600          # the restart follows at once; a later start was meant to serve the database that is there

# Whether a restore was requested for this start of a primary that has a database.
restore_requested() {
    [[ -f $request && -f ${restored:?} ]] || return 1
    (($(date +%s) - $(marker_value "$request" at) < valid_seconds)) || {
        log 'a request to restore is too old, so it is ignored; try again: dhis2-cluster restore, or reset'
        rm -f "$request"
        return 1
    }
}

# Restore what was requested; the database before stays until it is whole. The request is removed first: where the restore
# fails or is killed, the next start serves the database before.
restore_request() {
    local set own password=${encryption_password:?}
    set=$(marker_value "$request" set)
    own=$(marker_value "$request" own)
    rm -f "$request"
    if [[ -z $set ]]; then
        log 'the database is restored again, as requested'
        restore
        return
    fi
    [[ -z $own ]] || password=$unpacked/encryption-password
    DUMP_NAME="backup $set" restored_set=$set encryption_password=$password restore "$unpacked/database.dump"
    [[ -z $own ]] || change_marker 'encryption_password=other' 'encryption_password_from=set'
}

request_backup() {
    [[ $(marker_value "$unpacked/complete" set) == "$1" && -f $unpacked/database.dump ]] || fatal "the backup $1 is not unpacked"
    printf 'at=%s\nset=%s\nown=%s\n' "$(date +%s)" "$1" "${2:-}" | write_marker "$request"
}

check_dump_is_there() {
    [[ $DUMP_KEY == none || -f /dumps/$DUMP_KEY && -f /dumps/$DUMP_KEY.sha256 ]] ||
        fatal "the dump $DUMP_NAME is not in the dump cache any more. Fetch it again: docker rm $DUMP_CONTAINER && pulumi up --refresh"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    case ${1:-} in
    backup) request_backup "$2" "${3:-}" ;;
    dump) printf 'at=%s\n' "$(date +%s)" | write_marker "$request" ;;
    check-dump) check_dump_is_there ;;
    matches) matches "$encryption_password" "$2" ;;
    *) fatal 'restore-request.sh has the commands backup, dump, check-dump and matches' ;;
    esac
fi
