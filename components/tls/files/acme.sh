#!/bin/sh
# Obtain the certificate of a host name from a CA and renew it in time: `acme.sh OPTION...`, global options of lego.
#
# It is published with its key in one file that is renamed into place. lego writes its own files one by one, so they
# count only where they are what is published: a kill between two of them leads to another certificate, not to half a
# pair.
#
# ACME_HOSTNAME           host name of the certificate
# ACME_STORE              lego's folder for this CA
# ACME_CERTIFICATE        where it is published
# ACME_CHALLENGES         folder from which NGINX answers HTTP-01
# ACME_CHECK_SECONDS      between two checks whether it has to be renewed
# ACME_RETRY_SECONDS      after a failure; doubled after each further one, up to ACME_CHECK_SECONDS
set -u
umask 077
PATH="$PATH:/" # where the official image has lego
state=/tmp/acme output=/tmp/acme/output
key="$ACME_STORE/certificates/$ACME_HOSTNAME.key"
certificate="$ACME_STORE/certificates/$ACME_HOSTNAME.crt"

# Exit at once: the shell is the one that Docker's signal reaches, and it does not wait for a command in the background.
trap 'exit 143' TERM INT

run() {
    "$@" &
    wait $!
}

is_published() {
    cat "$key" "$certificate" 2>/dev/null | cmp -s - "$ACME_CERTIFICATE"
}

publish() {
    cat "$key" "$certificate" >"$ACME_CERTIFICATE.new" && mv -f "$ACME_CERTIFICATE.new" "$ACME_CERTIFICATE"
}

# Return whether there is a certificate that need not be renewed, or a new one; lego's output is in $output.
attempt() {
    if is_published; then
        # The same key, because NGINX reads certificate and key one after the other: a handshake in between stays valid.
        set -- "$@" renew --dynamic --reuse-key --no-random-sleep
    else
        rm -rf "$ACME_STORE/certificates"
        set -- "$@" run
    fi
    run lego "$@" >"$output" 2>&1
    code=$?
    cat "$output"
    [ "$code" -eq 0 ] || return 1
    is_published || publish
}

# Print lego's last log entry as one line: what the CA answered, or what lego lacks. An entry begins with a date.
answer() {
    awk '/^[0-9]+\/[0-9]+\/[0-9]+ / { entry = "" } { entry = entry " " $0 } END { print entry }' "$output" |
        sed 's/^ [0-9/]* [0-9:]* //' | tr -s '\t ' ' ' | cut -c1-1500
}

mkdir -p "$state" "$ACME_STORE" "$ACME_CHALLENGES"
if ! command -v lego >/dev/null; then
    echo "fatal: this image has no lego. Use one that has: pulumi config rm acmeImage"
    exit 1
fi
wait_seconds=$ACME_RETRY_SECONDS
while :; do
    if attempt "$@"; then
        rm -f "$state/failure"
        touch "$state/published"
        wait_seconds=$ACME_RETRY_SECONDS
        run sleep "$ACME_CHECK_SECONDS"
        continue
    fi
    answer >"$state/failure"
    ! is_published || touch "$state/published"
    echo "the next attempt is in $wait_seconds s"
    run sleep "$wait_seconds"
    wait_seconds=$((wait_seconds * 2))
    [ "$wait_seconds" -le "$ACME_CHECK_SECONDS" ] || wait_seconds=$ACME_CHECK_SECONDS
done
