#!/bin/sh
# Start NGINX with https: `start-tls.sh [FILE]`. Until FILE, the certificate on the volume, exists, it is a copy of the
# self-signed one.
set -eu

# OpenSSL before 3.5 does not know the curve against quantum computers, and NGINX does not start with an unknown one.
curves=X25519:prime256v1:secp384r1
if nginx -V 2>&1 | sed -n 's/.*running with \(OpenSSL .*\))/\1/p; s/^built with \(OpenSSL [^(]*\)$/\1/p' |
    grep -Eq '^OpenSSL (3\.([5-9]|[1-9][0-9])|[4-9])'; then
    curves="X25519MLKEM768:$curves"
fi
echo "ssl_ecdh_curve $curves;" >/tmp/curves.conf

if [ $# -eq 1 ] && [ ! -s "$1" ]; then
    umask 077
    cp /opt/dhis2-cluster/secrets/self-signed.pem "$1.new"
    mv "$1.new" "$1"
    umask 022
fi
exec /bin/sh /opt/dhis2-cluster/start.sh
