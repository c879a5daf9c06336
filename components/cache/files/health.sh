#!/bin/sh
# Healthcheck of the cache: passes when it accepts the password and has read its AOF (until then it answers LOADING).
set -eu

# In the environment of this process only; any process of the container could read an argument.
REDISCLI_AUTH=$(cat /opt/dhis2-cluster/secrets/cache-password)
VALKEYCLI_AUTH=$REDISCLI_AUTH # its name from Valkey 9 on
export REDISCLI_AUTH VALKEYCLI_AUTH

# The client exits with 0 when it is refused, so the answer decides.
answer=$(valkey-cli --no-auth-warning -h 127.0.0.1 -p 6379 ping 2>&1) || true
case $answer in
PONG) ;;
*)
    echo "the cache answers: $answer"
    exit 1
    ;;
esac
