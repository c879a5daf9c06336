#!/bin/sh
# Removes a volume from the Docker Engine whose socket this container has, once no container has the volume any more.
# Exits with 3 where Docker Engine refuses, after its reason, and with another code where it could not be asked.
# Arguments: socket, volume, seconds to wait while it is in use
set -eu

end=$(($(date +%s) + $3))
while :; do
    answer=$(curl --silent --show-error --max-time 60 --unix-socket "$1" --request DELETE --write-out '\n%{http_code}' \
        "http://localhost/volumes/$2")
    code=${answer##*
}
    case $code in
    204 | 404) exit 0 ;;
    409 | 5??) [ "$(date +%s)" -lt "$end" ] || break ;;
    *) break ;;
    esac
    sleep 1
done
echo "${answer%
*}"
exit 3
