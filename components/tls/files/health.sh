#!/bin/sh
# Passes when the certificate is published, also when it could not be renewed yet: then it prints why.
set -u
state=/tmp/acme
if [ -s "$state/failure" ]; then
    if [ -f "$state/published" ]; then
        printf 'the certificate could not be renewed: %s\n' "$(cat "$state/failure")"
        exit 0
    fi
    printf 'fatal: the CA issued no certificate: %s\n' "$(cat "$state/failure")"
    exit 1
fi
[ -f "$state/published" ] || {
    echo "the CA has not answered yet"
    exit 1
}
