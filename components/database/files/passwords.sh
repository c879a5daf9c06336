#!/bin/bash
# What the primary does with two passwords of DHIS2: it compares encryption.password with the one the database was used
# with, and sets the one of the user admin. Sourced by database.sh, and run in its container:
#   passwords.sh fingerprint            prints that of the encryption.password the database was used with
#   passwords.sh remove-fingerprint     for the user, where nothing is encrypted or it is entered again
#   passwords.sh verify-admin HOST PORT [open]  logs in at a core; exits with 3 where set-admin may help, with 1 where not.
#                                       `open`: others can reach this stack
#   passwords.sh set-admin [open]       while no core runs: a core keeps accounts in its cache, and writes them back
set -Eeuo pipefail
umask 077

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    # shellcheck source=components/database/files/environment.sh
    source /opt/dhis2-cluster/environment.sh
    find_binaries
fi

encryption_password=$secrets/encryption-password # the file
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
    [[ -f $encryption_password ]] || return 0
    recorded=$(app_sql -f "$home/encryption-password.sql") || {
        recorded=unknown
        return 1
    }
    if [[ -z $recorded ]]; then
        recorded=$(fingerprint "$encryption_password")
        app_sql -c "INSERT INTO dhis2_cluster.encryption_password VALUES ('$recorded')"
        return
    fi
    matches "$encryption_password" "$recorded"
}

# Set the password of DHIS2's user admin, and record it. False when there is no such user.
set_admin_password() {
    local result
    sql postgres -v file="$secrets/admin-password" -f "$home/admin-hash.sql" >"$run/admin-hash"
    result=$(app_sql -f "$home/admin-password.sql")
    [[ $result != "done" ]] || record_admin_password "$(<"$run/admin-hash")"
    rm -f "$run/admin-hash"
    [[ $result == "done" ]] || return 1
    log "the password of DHIS2's user admin is set"
}

# Set it in a database that was just restored: a generated one only instead of the default password or a generated one.
set_restored_admin_password() {
    local set_before hash='' generated admin='' recorded known
    case ${ADMIN_PASSWORD_FROM:-dump} in
    dump) return ;;
    generator)
        compare_accounts local 2>/dev/null || log "DHIS2's user admin is not there before DHIS2 starts"
        [[ -n $admin ]] && needs_password || return 0
        ;;
    esac
    set_admin_password || log "DHIS2's user admin gets its password once DHIS2 has created it"
}

# Record the hash of the password that was set for the user admin. In the database, so that its backups have it.
record_admin_password() {
    printf '%s\t%s\n' "$1" "$(if [[ ${ADMIN_PASSWORD_FROM:-dump} == generator ]]; then echo t; else echo f; fi)" >"$run/admin-set"
    app_sql -f "$home/record-admin-password.sql"
    rm -f "$run/admin-set"
}

# Compare the accounts with the well-known passwords and with that of the stack: `hash`, `admin`, `known`, and of the
# password that was set last `set_before`, its hash, `recorded` and `generated`. All are the caller's. `known` is empty unless
# others can reach this stack. False when the database does not answer.
compare_accounts() {
    local compared='' open=false
    [[ $1 != open ]] || open=true
    app_sql -f "$home/accounts.sql" >"$run/accounts" || return
    hash=$(sed -n 's/^admin\t//p' "$run/accounts")
    set_before=$(sed -n 's/^\t//p' "$run/accounts")
    generated=$(sed -n 's/^generated\t//p' "$run/accounts")
    compared=$(sql postgres -v file="$secrets/admin-password" -v open="$open" -f "$home/compare-passwords.sql") || return
    rm -f "$run/accounts"
    admin=$(sed -n 's/^admin=//p' <<<"$compared")
    recorded=$(sed -n 's/^recorded=//p' <<<"$compared")
    known=$(sed -n 's/^known=//p' <<<"$compared")
}

# Whether the password of the stack is to be set for the user admin: that of the setting once for each value, a generated one
# instead of the default password or another generated one, also that of the stack a backup is from. What a person has
# chosen in DHIS2 stays. An older version of this script has left a file instead of the hash: the password was set once, and
# may be another one since.
needs_password() {
    case ${ADMIN_PASSWORD_FROM:-dump}:$admin in
    dump:* | *:assigned) return 1 ;;
    setting:other) [[ $recorded != assigned && ! -f $data/admin-password-set ]] ;;
    generator:other) [[ -n $generated && $generated == "$hash" ]] ;;
    *) return 0 ;; # the default password, or there is no such user
    esac
}

# Disable the accounts of `known`, each a line with user name and password. The names are those of known-accounts.sql.
disable_known() {
    local names
    [[ -n $known ]] || return 0
    names=$(sed "s/ .*//; s/.*/'&'/" <<<"$known" | paste -s -d ,)
    app_sql -c "UPDATE public.userinfo SET disabled = true WHERE username IN ($names)"
}

# Log in as admin with the password it has, if that is known, and disable the other well-known accounts where
# others can reach this stack. Prints KEY=VALUE: which `password` admin has, `disabled` accounts, a `problem`.
verify_admin() {
    local core=$1 port=$2 set_before hash='' generated admin recorded known status reason='' name password from=${ADMIN_PASSWORD_FROM:-dump}
    compare_accounts "$3" 2>/dev/null || {
        unverified 'the database did not answer'
        return
    }
    status=none
    if needs_password; then
        status=refused
    elif [[ $admin == assigned || $admin == default ]]; then
        status=$(login admin <(admin_password "$admin"))
        [[ $status != refused ]] || reason=$(app_sql -f "$home/admin-account.sql")
        # With two-factor authentication no login with a password alone succeeds.
        [[ $reason != 'the account has two-factor authentication' ]] || status=200
    fi
    case $from:$status in
    *:200 | *:none) ;;
    dump:*) admin=other ;;
    *:refused)
        [[ -n $reason ]] || reason=$(app_sql -f "$home/admin-account.sql")
        # An account without logins needs no password, unless it was asked for.
        [[ $from == generator && -n $reason ]] || {
            refused
            return
        }
        admin=other
        ;;
    *)
        unverified "$core answered ${status:-nothing} to a login"
        return
        ;;
    esac
    if [[ $admin == assigned && $from != dump ]]; then
        [[ $hash == "$set_before" ]] || record_admin_password "$hash"
        rm -f "$data/admin-password-set"
    elif [[ $from == setting && $admin == other && -f $data/admin-password-set ]]; then
        record_admin_password "$(sql postgres -v file="$secrets/admin-password" -f "$home/admin-hash.sql")"
        rm -f "$data/admin-password-set"
    fi
    case $admin in
    assigned) if [[ $from == setting ]]; then echo password=setting; else echo password=generated; fi ;;
    default) echo password=default ;;
    *) echo password=unknown ;;
    esac
    disable_known
    while read -r name password; do
        [[ -n $name ]] || continue
        echo "disabled=$name"
        # Its core keeps the account in its cache, and would write it back.
        [[ $(login "$name" <(printf '%s' "$password")) != 200 ]] || status=cached
    done <<<"$known"
    if [[ ${status:-} == cached ]]; then
        echo "problem=DHIS2 accepts a login with a well-known password, although its account is disabled; try again: pulumi up"
        return 3
    fi
}

# Print the password that the user admin has: `default`, or the one of the stack.
admin_password() {
    if [[ $1 == default ]]; then printf district; else cat "$secrets/admin-password"; fi
}

unverified() {
    echo "problem=whether DHIS2's user admin has the password of the stack output adminPassword could not be verified: $1; try again: pulumi up"
    return 1
}

# Report a login of admin that DHIS2 refuses. The exit code is 3 where set-admin may help.
refused() {
    echo "problem=DHIS2 refuses the login of its user admin with the password of the stack output adminPassword (${reason:-bad credentials}). Set another password: pulumi config set --secret adminPassword, or leave it to DHIS2: pulumi config rm adminPassword"
    [[ -n $reason ]] || return 3
    return 1
}

# While no core runs: set the password of the stack for admin where that is needed, and disable well-known accounts.
set_admin() {
    local set_before hash='' generated admin recorded known
    compare_accounts "$1"
    disable_known
    ! needs_password || set_admin_password
}

# Print what `core` answers to a request as a user with the password in a file, with the file of a body and its type; nothing
# without an answer. The request is Bash's own, so that the password is on no command line. In HTTP/1.0, because a response then
# ends with its connection.
request() (
    type='' size=0
    exec 3<>"/dev/tcp/$core/$port" || exit 0
    [[ -z ${5:-} ]] || type="Content-Type: $6"$'\r\n' size=$(stat -c %s "$5")
    printf '%s %s HTTP/1.0\r\nHost: %s:%s\r\nAccept: application/json\r\nX-Requested-With: XMLHttpRequest\r\n%sContent-Length: %s\r\nAuthorization: Basic %s\r\n\r\n' \
        "$1" "$2" "$core" "$port" "$type" "$size" "$({ printf '%s:' "$3" && cat "$4"; } | base64 -w 0)" >&3
    [[ -z ${5:-} ]] || cat "$5" >&3 || : # a core that refuses the body answers all the same
    timeout "${request_seconds:-30}" cat <&3 || :
) 2>/dev/null

http_status() {
    sed -n '1s|^HTTP/[0-9.]* \([0-9]*\).*|\1|p' <<<"$1"
}

# Print the HTTP status of a request as a user with the password in a file: `refused` for those of a login that is refused.
login() {
    local status
    status=$(http_status "$(request GET /api/me "$1" "$2")")
    case $status in 401 | 403 | 302) echo refused ;; *) echo "$status" ;; esac
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    case ${1:-} in
    fingerprint) app_sql -c 'SELECT fingerprint FROM dhis2_cluster.encryption_password LIMIT 1' ;;
    verify-admin) verify_admin "$2" "$3" "${4:-}" ;;
    remove-fingerprint)
        app_sql -c 'DELETE FROM dhis2_cluster.encryption_password'
        sed -i -E '/^encryption_password(_from)?=/d' "$data/restored"
        ;;
    set-admin) set_admin "${2:-}" ;;
    *) fatal 'passwords.sh has the commands fingerprint, remove-fingerprint, verify-admin and set-admin' ;;
    esac
fi
