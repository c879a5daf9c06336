#!/bin/sh
# Brings a dump into the cache shared by all stacks, as an unprivileged user of the NGINX image.
#
# DUMP_KEY names the file in the cache (`none`: nothing to do), DUMP_NAME is what to call it in messages. DUMP_SOURCE is
# `url`: fetched from the address in a secret file, or `file`: delivered into the cache from outside as $DUMP_KEY.incoming,
# whole once $DUMP_KEY.delivered is there. A file under its final name has been checked and is complete.
set -eu
umask 022

cache=/var/tmp
address_file=/opt/dhis2-cluster/secrets/dump-url
key=${DUMP_KEY:-none}
final=$cache/$key
part=$final.part
lock=$final.lock
scratch=

say() { printf '%s\n' "$*" >&2; }

fatal() {
    say "fatal: the dump ${DUMP_NAME:-?} $*"
    exit 1
}

choose='Choose another: pulumi config set dumpUrl https://…'

main() {
    [ "$key" != none ] || exit 0
    (: >"$cache/$key.writable") 2>/dev/null ||
        fatal "cannot be kept: the cache volume is not writable for user $(id -u) or its disk is full. See: docker system df"
    rm -f "$cache/$key.writable"
    trap 'exit 143' TERM INT QUIT # the image asks with QUIT
    trap leave EXIT
    scratch=$(mktemp -d)
    forget_old
    take_lock
    if ! cached; then
        case ${DUMP_SOURCE:-url} in
        file) receive ;;
        *) fetch ;;
        esac
        keep
    fi
    # A delivery nobody waited for may still be on its way, and is the engine's until it has arrived.
    rm -f "$final.incoming" "$final.delivered" 2>/dev/null || :
}

leave() {
    [ -z "${curl:-}" ] || kill "$curl" 2>/dev/null || :
    [ -z "${beat:-}" ] || kill "$beat" 2>/dev/null || :
    [ -z "${locked:-}" ] || rm -rf "$lock"
    rm -rf "${scratch:?}"
}

cached() {
    [ -f "$final" ] && [ -f "$final.sha256" ] || return 1
    read -r sum _ <"$final.sha256" || :
    if [ "$(sha256sum "$final" | cut -d ' ' -f 1)" != "$sum" ]; then
        say "the dump ${DUMP_NAME:-?} in the cache is damaged; fetching it anew"
        rm -f "$final" "$final.sha256"
        return 1
    fi
    touch -c "$final" "$final.sha256"
    say "the dump ${DUMP_NAME:-?} is in the cache"
}

# Dumps not used for thirty days, and what a fetch left unfinished for a week.
forget_old() {
    for file in "$cache"/*; do
        name=${file##*/}
        of=${name%%.*}
        case $of in "$key" | '*' | *[!0-9a-f]*) continue ;; esac
        case $name in
        *.part | *.part.tag | *.incoming | *.delivered | *.lock) days=7 ;;
        *) days=30 ;;
        esac
        [ -z "$(find "$file" -prune -mtime +$days 2>/dev/null)" ] || rm -rf "$file"
    done
}

# Of two stacks that want the same dump one fetches it. The holder touches the lock every few seconds: an old one was left
# by a kill, and so was one of this very container.
take_lock() {
    waited=0
    until mkdir "$lock" 2>/dev/null; do
        touched=$(stat -c %Y "$lock" 2>/dev/null || date +%s)
        if [ $(($(date +%s) - touched)) -gt 20 ] || [ "$(cat "$lock/holder" 2>/dev/null)" = "$(hostname)" ]; then
            mv "$lock" "$lock.$$" 2>/dev/null && rm -rf "$lock.$$"
            continue
        fi
        [ $((waited % 15)) -ne 0 ] || say 'waiting for another stack that fetches the same dump'
        sleep 1
        waited=$((waited + 1))
    done
    locked=1
    hostname >"$lock/holder"
    while sleep 5; do touch -c "$lock" 2>/dev/null || exit 0; done &
    beat=$!
}

receive() {
    waited=0
    until [ -f "$final.delivered" ]; do
        [ "$waited" -lt 600 ] || fatal 'was not delivered within 10 minutes. Try again: pulumi up'
        [ $((waited % 5)) -ne 0 ] || say "waiting for the dump: $(size_of "$final.incoming") bytes so far"
        sleep 1
        waited=$((waited + 1))
    done
    [ -f "$final.incoming" ] || fatal 'was not delivered. Try again: pulumi up'
    mv "$final.incoming" "$part"
    rm -f "$final.delivered"
}

size_of() {
    if [ -f "$1" ]; then wc -c <"$1" | tr -d ' '; else echo 0; fi
}

# Fetch with resume. What will not mend by itself ends at the first try.
fetch() {
    for pause in 2 5 10 20 30 0; do
        if attempt; then return; fi
        [ "$pause" -gt 0 ] || break
        say "the download broke off ($cause); going on in $pause s"
        sleep "$pause"
    done
    fatal "cannot be fetched: $cause. What came so far is kept. Try again: pulumi up, or: pulumi config set dumpUrl https://…"
}

# One request; false with `cause` when another might help. A part is only continued while the server says by its tag
# that it still is the same file.
attempt() {
    tag=
    [ ! -s "$part" ] || [ ! -s "$part.tag" ] || tag=$(cat "$part.tag")
    [ -n "$tag" ] || rm -f "$part" "$part.tag"
    {
        printf 'url = "%s"\n' "$(sed 's/[\\"]/\\&/g' "$address_file")"
        [ -z "$tag" ] || printf 'continue-at = -\nheader = "If-Range: %s"\n' "$(printf %s "$tag" | sed 's/[\\"]/\\&/g')"
    } >"$scratch/request"
    : >"$scratch/headers"
    curl -q --config - --fail --location --silent --show-error --proto '=http,https' --connect-timeout 15 \
        --speed-limit 100 --speed-time 60 --dump-header "$scratch/headers" --output "$part" \
        --write-out '%{http_code}' <"$scratch/request" >"$scratch/status" 2>"$scratch/error" &
    curl=$!
    report
    code=0
    wait "$curl" || code=$?
    curl=
    remember_tag
    status=$(cat "$scratch/status")
    judge
}

# What curl's exit code and the HTTP status mean for the next step.
judge() {
    case $code in
    0) return 0 ;;
    33) rm -f "$part" "$part.tag"; cause='the file has changed meanwhile' ;;
    6) cause='the name of its server is not known' ;;
    7) cause='its server refuses connections' ;;
    18) cause='the connection ended before the file did' ;;
    28) cause='its server does not answer' ;;
    22)
        cause="the server answers $status"
        case $status in
        416) rm -f "$part" "$part.tag" ;;
        408 | 429 | 5??) ;;
        401 | 403) fatal "cannot be fetched: $cause, access is denied. $choose" ;;
        404 | 410) fatal "cannot be fetched: $cause, there is no such file. $choose" ;;
        *) fatal "cannot be fetched: $cause. $choose" ;;
        esac
        ;;
    23) fatal "cannot be kept: the disk is full. Make room: docker system df" ;;
    3 | 1) fatal "cannot be fetched: its address is not a right one. $choose" ;;
    47) fatal "cannot be fetched: the server redirects for ever. $choose" ;;
    35 | 51 | 58 | 60 | 77) fatal "cannot be fetched: no trusted TLS connection ($(curl_said)). $choose" ;;
    *) cause="$(curl_said)" ;;
    esac
    return 1
}

# What curl said, without the address: it may hold a password.
curl_said() {
    tail -n 1 "$scratch/error" | sed -e 's/^curl: //' -e 's#[a-z]*://[^ ]*#(address)#g'
}

# The last answer's tag of a file that began to come.
remember_tag() {
    [ -s "$part" ] || return 0
    found=$(tr -d '\r' <"$scratch/headers" | awk '
        /^HTTP\// { tag = date = "" }
        tolower($1) == "etag:" && $2 !~ /^W\// { tag = $2 }
        tolower($1) == "last-modified:" { date = substr($0, index($0, " ") + 1) }
        END { print tag ? tag : date }')
    [ -z "$found" ] || printf '%s\n' "$found" >"$part.tag"
}

# Progress while curl runs, every five seconds.
report() {
    ticks=0
    before=$(size_of "$part")
    while kill -0 "$curl" 2>/dev/null; do
        sleep 0.2
        ticks=$((ticks + 1))
        [ -f "$part.tag" ] || remember_tag # at once: a kill may come at any time
        [ $((ticks % 25)) -eq 0 ] || continue
        came=$(size_of "$part")
        left=$(tr -d '\r' <"$scratch/headers" | awk 'tolower($1) == "content-length:" { n = $2 } END { print n + 0 }')
        total=$((left + before))
        if [ "$left" -gt 0 ]; then
            say "download $((came * 100 / total)) % of $((total / 1000000)) MB"
        else
            say "download $((came / 1000000)) MB"
        fi
    done
}

# Check what came, and give it its final name.
keep() {
    say 'checking the dump'
    wrong=$(what_is_wrong "$part")
    if [ -n "$wrong" ]; then
        rm -f "$part" "$part.tag"
        fatal "$wrong. $choose"
    fi
    sum=$(sha256sum "$part" | cut -d ' ' -f 1)
    printf '%s %s\n' "$sum" "$(size_of "$part")" >"$scratch/sha256"
    cp "$scratch/sha256" "$final.sha256.part"
    sync
    mv "$final.sha256.part" "$final.sha256"
    mv "$part" "$final"
    rm -f "$part.tag"
    say "the dump ${DUMP_NAME:-?} is complete ($(($(size_of "$final") / 1000000)) MB)"
}

# Print what a file is instead of a dump; nothing for plain SQL and pg_dump's custom format, each maybe gzip'd.
what_is_wrong() {
    [ -s "$1" ] || { echo 'is empty'; return; }
    case $(first_bytes 4 <"$1") in
    1f8b*)
        gzip -t "$1" 2>/dev/null || { echo 'is truncated or damaged (gzip -t)'; return; }
        gzip -dc "$1" 2>/dev/null | head -c 65536 >"$scratch/head" || :
        ;;
    *) head -c 65536 "$1" >"$scratch/head" ;;
    esac
    case $(first_bytes 5 <"$scratch/head") in
    '') echo 'is empty inside' ;;
    5047444d50) ;; # PGDMP
    504b0304*) echo 'is a zip archive, not a dump' ;;
    fd377a585a | 425a68* | 28b52ffd*) echo 'is compressed with something else than gzip' ;;
    1f8b*) echo 'is compressed twice' ;;
    *)
        if head -c 1024 "$scratch/head" | grep -qi '<!doctype html\|<html'; then
            echo 'is a web page, not a dump'
        elif [ "$(tr -d '\0' <"$scratch/head" | wc -c)" -ne "$(wc -c <"$scratch/head")" ] ||
            ! grep -qiE '^[[:space:]]*(--|/\*|\\|(set|create|drop|insert|copy|begin|select|alter|start|do|grant|with|comment)[[:space:];])' "$scratch/head"; then
            echo "is neither an SQL dump nor one in pg_dump's custom format"
        fi
        ;;
    esac
}

first_bytes() {
    head -c "$1" | od -An -v -tx1 | tr -d ' \n'
}

main
