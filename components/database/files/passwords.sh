#!/bin/bash
# What the primary does with two passwords of DHIS2: it compares encryption.password with the one the database was used
# with, and sets the one of the user admin. Sourced by database.sh, and run in its container:
#   passwords.sh fingerprint            prints that of the encryption.password the database was used with
#   passwords.sh remove-fingerprint     for the user, where nothing is encrypted or it is entered again
#   passwords.sh verify-admin HOST PORT logs in at a core; exits with 3 where set-admin may help, with 1 where not
#   passwords.sh set-admin              while no core runs: a core keeps accounts in its cache, and writes them back
set -Eeuo pipefail
umask 077

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    home=/opt/dhis2-cluster
    secrets=$home/secrets
    data=/var/lib/postgresql
    run=/var/run/postgresql
    # shellcheck source=components/database/files/lib.sh
    source "$home/lib.sh"
    find_binaries
fi

fingerprint_form='^pbkdf2-sha256\$[0-9]{1,7}\$[0-9a-f]{32}\$[0-9a-f]{64}$'

# Print the fingerprint of the password in a file: with a new salt, or with that of another fingerprint.
fingerprint() {
    local salt iterations=100000
    salt=$(tr -d - </proc/sys/kernel/random/uuid)
    [[ -z ${2:-} ]] || IFS='$' read -r _ iterations salt _ <<<"$2"
    sql postgres -v file="$1" -v iterations="$iterations" -v salt="$salt" -f "$home/fingerprint.sql"
}

# Whether a fingerprint is that of the password in a file.
matches() {
    [[ $2 =~ $fingerprint_form && $(fingerprint "$1" "$2") == "$2" ]]
}

# SQL as the role DHIS2 connects as: what a dump has brought along, such as a trigger, does not run as superuser.
app_sql() {
    printf '127.0.0.1:5432:dhis:dhis:%s\n' "$(sed 's/[\\:]/\\&/g' "$secrets/app-password")" >"$run/app.passfile"
    PGPASSFILE=$run/app.passfile sql dhis -U dhis -h "${socket:-127.0.0.1}" "$@"
}

# Compare encryption.password with the one the database was used with, and record it where there is none yet. False when it
# is another one: then `recorded` of the caller is the other's fingerprint.
check_encryption_password() {
    [[ -f $secrets/encryption-password ]] || return 0
    recorded=$(app_sql -f "$home/encryption-password.sql") || {
        recorded=unknown
        return 1
    }
    if [[ -z $recorded ]]; then
        recorded=$(fingerprint "$secrets/encryption-password")
        app_sql -c "INSERT INTO dhis2_cluster.encryption_password VALUES ('$recorded')"
        return
    fi
    matches "$secrets/encryption-password" "$recorded"
}

# Set the password of DHIS2's user admin, and note it in a folder. False when there is no such user.
set_admin_password() {
    local result
    sql postgres -v file="$secrets/admin-password" -f "$home/admin-hash.sql" >"$run/admin-hash"
    result=$(app_sql -f "$home/admin-password.sql")
    rm -f "$run/admin-hash"
    [[ $result == "done" ]] || return 1
    note_admin_password "$1"
    log "the password of DHIS2's user admin is set"
}

# Note which password the user admin has been given, with further lines KEY=VALUE.
note_admin_password() {
    local folder=$1
    shift
    printf '%s\n' "fingerprint=$(fingerprint "$secrets/admin-password")" "$@" | write_marker "$folder/admin-password-set"
}

# Log in as admin, once for each restore and each value of the setting: from then on the password is changed in DHIS2.
verify_admin() {
    local mark=$data/admin-password-set status reason=''
    if [[ $(marker_value "$mark" verified) == yes ]] && matches "$secrets/admin-password" "$(marker_value "$mark" fingerprint)"; then
        return 0
    fi
    status=$(login "$1" "$2" "$secrets/admin-password")
    [[ $status != refused ]] || reason=$(app_sql -f "$home/admin-account.sql")
    # An empty mark is of an older version of this script: the password was set once, and may be another one since. The
    # public one of every blank database is not what someone has chosen.
    if [[ $status == refused && -f $mark && ! -s $mark && $(login "$1" "$2" <(printf district)) == refused ]]; then
        status=200
    fi
    # With two-factor authentication no login with a password alone succeeds.
    if [[ $reason == 'the account has two-factor authentication' ]] &&
        matches "$secrets/admin-password" "$(marker_value "$mark" fingerprint)"; then
        status=200
    fi
    case $status in
    200) note_admin_password "$data" verified=yes ;;
    refused)
        echo "DHIS2 refuses the login of its user admin with the setting adminPassword (${reason:-bad credentials}). Set another password: pulumi config set --secret adminPassword, or leave it to DHIS2: pulumi config rm adminPassword"
        [[ -n $reason ]] || return 3
        return 1
        ;;
    *)
        echo "whether DHIS2's user admin has the password of the setting adminPassword could not be verified: $1 answered ${status:-nothing} to a login; try again: pulumi up"
        return 1
        ;;
    esac
}

# Print the HTTP status of a request as admin with the password in a file: `refused` for those of a login that is refused,
# nothing without an answer. The request is Bash's own, so that the password is on no command line.
login() (
    exec 3<>"/dev/tcp/$1/$2" || exit 0
    printf 'GET /api/me HTTP/1.0\r\nHost: %s:%s\r\nAccept: application/json\r\nX-Requested-With: XMLHttpRequest\r\nAuthorization: Basic %s\r\n\r\n' \
        "$1" "$2" "$({ printf admin: && cat "$3"; } | base64 -w 0)" >&3
    read -t 30 -r _ status _ <&3 || :
    case ${status:-} in 401 | 403 | 302) echo refused ;; *) echo "${status:-}" ;; esac
) 2>/dev/null

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    case ${1:-} in
    fingerprint) app_sql -c 'SELECT fingerprint FROM dhis2_cluster.encryption_password LIMIT 1' ;;
    verify-admin) verify_admin "$2" "$3" ;;
    remove-fingerprint)
        app_sql -c 'DELETE FROM dhis2_cluster.encryption_password'
        sed -i '/^encryption_password=/d' "$data/restored"
        ;;
    set-admin) set_admin_password "$data" ;;
    *) fatal 'passwords.sh has the commands fingerprint, remove-fingerprint, verify-admin and set-admin' ;;
    esac
fi
