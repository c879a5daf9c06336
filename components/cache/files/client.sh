# shellcheck shell=sh
# Sourced: the client of the server in this container.

# Send the commands of stdin. The password is in the environment of this process only; any process of the container
# could read an argument. The client exits with 0 when it is refused: the answer decides.
client() (
    REDISCLI_AUTH=$(cat /opt/dhis2-cluster/secrets/cache-password)
    VALKEYCLI_AUTH=$REDISCLI_AUTH # its name from Valkey 9 on
    export REDISCLI_AUTH VALKEYCLI_AUTH
    exec valkey-cli --no-auth-warning -h 127.0.0.1 -p 6379
)
