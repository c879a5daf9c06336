#!/bin/sh
# Start NGINX as start-tls.sh does, and keep FILE the certificate that the ACME client has: `start-fetching.sh FILE URL`.
#
# On a swarm the client's volume is on one node. Its web server gives the certificate with its key to clients with the same
# secret as itself: a key and a certificate, which both sides verify. NGINX reads FILE in the next handshake.
#
# FETCH_SECONDS           between two looks, by default 30; a fifth of it while there is none
set -eu
pair=/opt/dhis2-cluster/secrets/acme-web.pem
seconds=${FETCH_SECONDS:-30}

fetch() {
    curl --fail --silent --max-time 20 --cacert "$pair" --cert "$pair" --output "$1.fetched" "$2" || return
    if ! grep -q 'BEGIN CERTIFICATE' "$1.fetched" || ! grep -q 'PRIVATE KEY' "$1.fetched"; then
        return 1
    fi
    cmp -s "$1.fetched" "$1" && return
    mv -f "$1.fetched" "$1" && echo "the load balancer has another certificate of the ACME client"
}

keep() {
    umask 077 # as of the pair of a key and its certificate
    failed=
    while :; do
        if fetch "$@"; then
            failed=
            sleep "$seconds"
            continue
        fi
        [ -n "$failed" ] || echo "the ACME client has no certificate to fetch, or its web server does not answer"
        failed=yes
        sleep $((seconds / 5 + 1))
    done
}

keep "$@" &
exec /bin/sh /opt/dhis2-cluster/start-tls.sh "$1"
