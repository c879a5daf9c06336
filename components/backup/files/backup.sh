#!/bin/bash
# The backup container, as the user of the cores, whose files it reads. It has the database's image, for a pg_dump of the
# right version. `dhis2-cluster` runs its other commands in the container:
#   serve              what the container runs: the schedule
#   create [--all]     back the stack up; --all: with the rows of analytics and resource tables, too
#   list               print the sets, as restic's JSON
#   unpack SET PARTS   fetch a set into the volume, where the primary restores it from; PARTS: all, database or files
#   begin-restore      keep backups away until `discard`
#   exchange-files     put the files of the unpacked set in the place of the present ones
#   discard            remove the unpacked set
#   change-password    give the repository another password: the line on stdin
set -Eeuo pipefail
umask 022 # the primary, another user, reads the unpacked dump

home=/opt/dhis2-cluster
secrets=$home/secrets
tools=/tools
data=/var/tmp # the volume: repository, records, and room for a set
files=/files
run=/tmp                # in memory
set=$data/set           # a set before it is in the repository
unpacked=$data/unpacked # a set that is being restored

# shellcheck source=components/database/files/lib.sh
source "$home/lib.sh"
# shellcheck source=components/backup/files/create.sh
source "$home/create.sh"
# shellcheck source=components/backup/files/unpack.sh
source "$home/unpack.sh"

export RESTIC_REPOSITORY_FILE=$secrets/backup-repository RESTIC_PASSWORD_FILE=$secrets/backup-password
export RESTIC_CACHE_DIR=$data/cache TMPDIR=$data/tmp HOME=$run PGTZ=UTC LC_MESSAGES=C
export PATH=$home:$PATH SSH_LOG=$run/ssh.$$ # restic finds `ssh` there, and may exit before it has read its messages
[[ ! -f $secrets/s3-credentials ]] || export AWS_SHARED_CREDENTIALS_FILE=$secrets/s3-credentials
[[ ! -f $tools/ca-certificates.crt ]] || export SSL_CERT_FILE=$tools/ca-certificates.crt

reason='' # why this command fails, for the record

fatal() {
    reason=$*
    log "fatal: $*"
    exit 1
}

# Wait for the end of another backup or restore, and keep further ones away until this process ends.
lock() {
    exec 9>"$data/lock"
    flock -w 5 9 || fatal 'a backup or a restore is running; wait for its end'
}

# Free bytes on the disk of the volume.
free_bytes() {
    df -Pk "$data" | awk 'END { print $4 * 1024 }'
}

restic() {
    : >"$SSH_LOG"
    "$tools/restic" --retry-lock 5m "$@" 2>"$run/restic.$$"
}

# What restic and its ssh have reported of a failure, in one line; else why restic has tried again.
restic_error() {
    local reported ssh
    reported=$(reported_errors | tail -n 3 | paste -sd ' ' | cut -c 1-400)
    [[ -n $reported && $reported != *'context canceled'* ]] || reported=$(sed -n 's/.*returned error, retrying after [^:]*: //p' "$run/restic.$$" | tail -n 1)
    ssh=$(tr -d '\r' <"$SSH_LOG" | tail -n 2 | paste -sd ' ')
    # Where ssh cannot connect, restic knows no more than that.
    [[ -z $ssh || $reported != *'unable to start the sftp session'* ]] || reported=''
    echo "$ssh${ssh:+${reported:+; }}$reported"
}

# The errors among the lines of restic, which with --json are JSON.
reported_errors() {
    sed -E '/^\{"message_type":/ {
        s/.*"exit_error".*"message":"(([^"\\]|\\.)*)".*/\1/
        s/.*"error".*"message":"(([^"\\]|\\.)*)".*/error: \1/
        s/\\n.*//; s/\\u003c/</g; s/\\u003e/>/g; s/\\(.)/\1/g
    }' "$run/restic.$$" | sed -n 's/^Fatal: //p; /^error: /p'
}

# Why the repository cannot be opened, and the fix of what ssh reports.
unopened() {
    case $1 in
    *'Host key verification failed'*)
        echo "the host key of the SFTP server is not in backupKnownHosts: $1 Compare what ssh-keyscan -p PORT HOST prints with the keys on the server, and set the file with it: pulumi config set backupKnownHosts ../known_hosts && pulumi up"
        ;;
    *'Permission denied ('*)
        echo "the SFTP server refuses the key in backupSshKey: $1 Add its public key, which ssh-keygen -y -f KEY prints, to authorized_keys of that user on the server"
        ;;
    *) echo "the repository cannot be opened: $1" ;;
    esac
}

# Open the repository, and initialise a new one where there is none.
open_repository() {
    local code=0
    mkdir -p "$TMPDIR"
    : >"$SSH_LOG"
    # By itself restic tries for a quarter of an hour to reach a server.
    timeout 45 "$tools/restic" cat config >/dev/null 2>"$run/restic.$$" || code=$?
    # For a bucket that does not exist restic tries again, too; init creates it.
    ! ((code == 124)) || ! grep -q 'bucket does not exist' "$run/restic.$$" || code=10
    case $code in
    0) ;;
    10)
        restic init >/dev/null || fatal "the repository cannot be initialised: $(restic_error)"
        log 'a new repository is initialised'
        : >"$data/new-repository"
        ;;
    12) fatal 'the repository was made with another password than the one of this stack. Set that one: pulumi config set --secret backupPassword && pulumi up' ;;
    124) fatal "the repository cannot be opened, it does not answer within 45 s: $(restic_error)" ;;
    *) fatal "$(unopened "$(restic_error)")" ;;
    esac
}

# Open the repository again and again until that succeeds; health.sh reports why it does not.
until_open() {
    local problem
    while :; do
        problem=$(open_repository 2>&1 >/dev/null) && break
        log "$problem"
        sed -n 's/^fatal: //p' <<<"$problem" | tail -n 1 >"$run/problem"
        : >"$run/started"
        sleep 60
    done
    [[ -z $problem ]] || log "$problem"
    rm -f "$run/problem"
    : >"$run/started"
}

# The new password is in memory meanwhile. Until the stack has it too, backups fail and the healthcheck says why.
change_password() {
    local code=0
    (umask 077 && cat >"$run/new-password")
    [[ -s $run/new-password ]] || fatal 'there is no password on stdin'
    restic key passwd --new-password-file "$run/new-password" >/dev/null || code=$?
    rm -f "$run/new-password"
    ((code == 0)) || fatal "the password of the repository could not be changed: $(restic_error)"
    log 'the repository has the new password. Set it for the stack, too: pulumi config set --secret backupPassword && pulumi up'
}

start() {
    "$tools/restic" version >"$run/version" 2>&1 ||
        fatal "restic does not run in the database's image: $(tail -n 1 "$run/version"). Fix: pulumi config rm backupImage && pulumi up"
    log "$(cut -d ' ' -f 1,2 "$run/version"), $(pg_dump --version)"
    rm -rf "$set" "$TMPDIR"
    if [[ $(marker_value "$data/schedule" schedule) != "$SCHEDULE" || ! -f $data/schedule ]]; then
        printf 'schedule=%s\nsince=%s\n' "$SCHEDULE" "$(date +%s)" | write_marker "$data/schedule"
    fi
    until_open &
    if [[ -z $SCHEDULE ]]; then
        log 'no schedule (backupSchedule manual): dhis2-cluster backup'
        exec sleep infinity
    fi
    printf '%s /bin/bash %s/backup.sh create\n' "$SCHEDULE" "$home" >"$run/crontab"
    log "schedule: $SCHEDULE (UTC)"
    exec "$tools/supercronic" -passthrough-logs "$run/crontab"
}

trap 'reason="${BASH_SOURCE[0]##*/}, line $LINENO failed: ${BASH_COMMAND:0:60}"' ERR
find_binaries
case ${1:-} in
serve) start ;;
create) create "${2:-}" ;;
list)
    restic snapshots --json --tag dhis2-cluster || {
        reported=$(restic_error)
        open_repository # its reason has the command that helps
        fatal "$reported"
    }
    ;;
unpack) unpack "$2" "$3" ;;
begin-restore) begin_restore ;;
exchange-files) exchange_files ;;
discard) rm -rf "$unpacked" "$files/.unpacked" ;;
change-password) change_password ;;
*) fatal 'backup.sh has the commands serve, create, list, unpack, begin-restore, exchange-files, discard and change-password' ;;
esac
