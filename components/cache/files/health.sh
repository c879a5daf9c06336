#!/bin/sh
# Health check of the cache: healthy when it takes the password and has read its log (until then it answers LOADING).
set -eu

# The environment of this process only; as an argument every process of the container could read it.
REDISCLI_AUTH=$(cat /opt/dhis2-cluster/secrets/cache-password)
VALKEYCLI_AUTH=$REDISCLI_AUTH # its name from Valkey 9 on
export REDISCLI_AUTH VALKEYCLI_AUTH

# The client ends with 0 when it is refused, so the answer decides.
answer=$(valkey-cli --no-auth-warning -h 127.0.0.1 -p 6379 ping 2>&1) || true
case $answer in
  PONG) ;;
  *)
    echo "the cache answers: $answer"
    exit 1
    ;;
esac
