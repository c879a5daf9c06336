#!/bin/sh
# Fetch a dump into the dump cache that all stacks share, as an unprivileged user of the NGINX image.
#
# DUMP_KEY is the file's name in the cache (`none`: nothing to do), DUMP_NAME its name in messages. DUMP_SOURCE is `url`:
# fetched from the address in a secret file, or `file`: uploaded into the cache as $DUMP_KEY.incoming, complete once
# $DUMP_KEY.delivered exists. A file under its final name has been checked and is complete. DUMP_CACHE_MB is the setting
# dumpCacheSize.
set -eu
umask 022

cache=/var/tmp
address_file=/opt/dhis2-cluster/secrets/dump-url
key=${DUMP_KEY:-none}
final=$cache/$key
part=$final.part
lock=$final.lock
tmp=

# shellcheck source=components/database/files/dump-cache.sh
. /opt/dhis2-cluster/dump-cache.sh

log() { printf '%s\n' "$*" >&2; }

fatal() {
    log "fatal: the dump ${DUMP_NAME:-?} $*"
    exit 1
}

choose='Choose another: pulumi config set dumpUrl https://…'

main() {
    [ "$key" != none ] || exit 0
    (: >"$cache/$key.writable") 2>/dev/null ||
        fatal "cannot be kept: the cache volume is not writable for user $(id -u) or its disk is full. See: docker system df"
    rm -f "$cache/$key.writable"
    trap 'exit 143' TERM INT QUIT # the image asks with QUIT
    trap clean_up EXIT
    tmp=$(mktemp -d)
    remove_old
    bound_copies || log 'the copies of restored databases in the dump cache cannot be removed'
    take_lock
    if ! cached; then
        case ${DUMP_SOURCE:-url} in
        file) receive ;;
        *) fetch ;;
        esac
        publish
    fi
    # An upload that was not waited for may still be under way, and belongs to root until it has arrived.
    rm -f "$final.incoming" "$final.delivered" 2>/dev/null || :
}

clean_up() {
    [ -z "${curl:-}" ] || kill "$curl" 2>/dev/null || :
    rm -rf "${tmp:?}"
}

cached() {
    [ -f "$final" ] && [ -f "$final.sha256" ] || return 1
    read -r sum _ <"$final.sha256" || :
    if [ "$(sha256sum "$final" | cut -d ' ' -f 1)" != "$sum" ]; then
        log "the dump ${DUMP_NAME:-?} in the cache is damaged; fetching it again"
        rm -f "$final" "$final.sha256"
        return 1
    fi
    touch -c "$final" "$final.sha256"
    log "the dump ${DUMP_NAME:-?} is in the cache"
}

# Remove dumps that were not used for thirty days, and what a fetch left unfinished for a week.
remove_old() {
    find "$cache" -mindepth 1 -maxdepth 1 \( -mtime +30 -o -mtime +7 \( -name '*.part' -o -name '*.part.tag' \
        -o -name '*.incoming' -o -name '*.delivered' -o -name '*.lock' \) \) >"$tmp/old" 2>/dev/null || :
    while read -r file; do
        name=${file##*/}
        of=${name%%.*}
        case $of in "$key" | *[!0-9a-f]*) ;; *) rm -rf "$file" ;; esac
    done <"$tmp/old"
}

# Make the folder in which primaries keep copies of restored databases, and remove those that have no room or were not used
# for thirty days.
bound_copies() {
    mb=${DUMP_CACHE_MB:-0}
    [ -d "$copies" ] || (umask 0 && mkdir "$copies") || return
    echo "$mb" >"$copies/size.$$" && mv "$copies/size.$$" "$copies/size" || return
    find "$copies" -mindepth 1 -maxdepth 1 -type d ! -name '*.*' -mtime +30 >"$tmp/old"
    while read -r unused; do remove_copy "$unused" || :; done <"$tmp/old"
    find "$copies" -maxdepth 1 -name '*.lock' -mtime +30 -exec rm -f {} +
    if [ "$mb" -eq 0 ]; then remove_copies_while true; else remove_copies_while exceeds $((mb * 1024)); fi
}

# Of two stacks that want the same dump one fetches it. The kernel releases the lock with its holder, also after a kill.
take_lock() {
    [ ! -d "$lock" ] || rm -rf "$lock" # version 0.1 had a folder of this name
    exec 9>"$lock"
    waited=0
    until flock -n 9; do # busybox's flock, of Alpine variants of the image, has no timeout
        [ $((waited % 15)) -ne 0 ] || log 'waiting for another stack that fetches the same dump'
        sleep 1
        waited=$((waited + 1))
    done
    touch "$lock" # remove_old goes by its age
}

receive() {
    waited=0
    until [ -f "$final.delivered" ]; do
        [ "$waited" -lt 600 ] || fatal 'was not delivered within 10 minutes. Try again: pulumi up'
        [ $((waited % 5)) -ne 0 ] || log "waiting for the dump: $(size_of "$final.incoming") bytes so far"
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

# Fetch with resume. What cannot recover by itself fails at the first try. curl's own --retry does not suffice: it begins
# a stalled download again where this run of curl began (seen with 8.14.1, also with --continue-at), and would resume a part
# of a file that has changed meanwhile.
fetch() {
    for pause in 2 5 10 20 30 0; do
        if attempt; then return; fi
        [ "$pause" -gt 0 ] || break
        log "the download was interrupted ($cause); resuming in $pause s"
        sleep "$pause"
    done
    fatal "cannot be fetched: $cause. What was downloaded is kept. Try again: pulumi up, or: pulumi config set dumpUrl https://…"
}

# One request; false with `cause` when another might help. A part is resumed only while the server's entity tag says that
# it is the same file.
attempt() {
    tag=
    [ ! -s "$part" ] || [ ! -s "$part.tag" ] || tag=$(cat "$part.tag")
    [ -n "$tag" ] || rm -f "$part" "$part.tag"
    {
        printf 'url = "%s"\n' "$(sed 's/[\\"]/\\&/g' "$address_file")"
        [ -z "$tag" ] || printf 'continue-at = -\nheader = "If-Range: %s"\n' "$(printf %s "$tag" | sed 's/[\\"]/\\&/g')"
    } >"$tmp/request"
    : >"$tmp/headers"
    curl -q --config - --fail --location --silent --show-error --proto '=http,https' --connect-timeout 15 \
        --speed-limit 100 --speed-time 60 --dump-header "$tmp/headers" --output "$part" \
        --write-out '%{http_code}' <"$tmp/request" >"$tmp/status" 2>"$tmp/error" 9>&- &
    curl=$!
    report
    code=0
    wait "$curl" || code=$?
    curl=
    keep_tag
    status=$(cat "$tmp/status")
    evaluate
}

# Evaluate curl's exit code and the HTTP status.
evaluate() {
    case $code in
    0) return 0 ;;
    33)
        rm -f "$part" "$part.tag"
        cause='the file has changed meanwhile'
        ;;
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
    3 | 1) fatal "cannot be fetched: its address is invalid. $choose" ;;
    47) fatal "cannot be fetched: the server redirects for ever. $choose" ;;
    35 | 51 | 58 | 60 | 77) fatal "cannot be fetched: no trusted TLS connection ($(curl_error)). $choose" ;;
    *) cause="$(curl_error)" ;;
    esac
    return 1
}

# The error of curl without the address, which may hold a password.
curl_error() {
    tail -n 1 "$tmp/error" | sed -e 's/^curl: //' -e 's#[a-z]*://[^ ]*#(address)#g'
}

# Keep the entity tag of the last response with a body.
keep_tag() {
    [ -s "$part" ] || return 0
    found=$(tr -d '\r' <"$tmp/headers" | awk '
        /^HTTP\// { tag = date = "" }
        tolower($1) == "etag:" && $2 !~ /^W\// { tag = $2 }
        tolower($1) == "last-modified:" { date = substr($0, index($0, " ") + 1) }
        END { print tag ? tag : date }')
    [ -z "$found" ] || printf '%s\n' "$found" >"$part.tag"
}

# Progress while curl runs, every five seconds. Ends a download for which the disk has no room.
report() {
    ticks=0
    before=$(size_of "$part")
    while kill -0 "$curl" 2>/dev/null; do
        sleep 0.2
        ticks=$((ticks + 1))
        [ -f "$part.tag" ] || keep_tag # at once: a kill may come at any time
        [ $((ticks % 5)) -eq 1 ] || continue
        came=$(size_of "$part")
        left=$(tr -d '\r' <"$tmp/headers" | awk 'tolower($1) == "content-length:" { n = $2 } END { print n + 0 }')
        total=$((left + before))
        [ "$left" -eq 0 ] || remove_copies_while lacks "$cache" $(((total - came) / 1024))
        free=$(($(free_kb "$cache") * 1024))
        [ "$left" -eq 0 ] || [ $((total - came)) -le "$free" ] ||
            fatal "needs $(((total - came) / 1000000)) MB more, and the disk of Docker Engine has $((free / 1000000)) MB free. Make room: docker system df, docker system prune; or use another machine: pulumi config set dockerHost ssh://user@host"
        [ $((ticks % 25)) -eq 1 ] || continue
        if [ "$left" -gt 0 ]; then
            log "download $((came * 100 / total)) % of $((total / 1000000)) MB"
        else
            log "download $((came / 1000000)) MB"
        fi
    done
}

# Check the file, and give it its final name.
publish() {
    log 'checking the dump'
    reason=$(why_no_dump "$part")
    if [ -n "$reason" ]; then
        rm -f "$part" "$part.tag"
        fatal "$reason. $choose"
    fi
    sum=$(sha256sum "$part" | cut -d ' ' -f 1)
    printf '%s %s %s\n' "$sum" "$(size_of "$part")" "$(cat "$tmp/unpacked")" >"$tmp/sha256"
    cp "$tmp/sha256" "$final.sha256.part"
    sync
    mv "$final.sha256.part" "$final.sha256"
    mv "$part" "$final"
    rm -f "$part.tag"
    log "the dump ${DUMP_NAME:-?} is complete ($(($(size_of "$final") / 1000000)) MB)"
}

# Print what a file is instead of a dump; nothing for plain SQL and archives of pg_dump, each maybe gzip'd. Leaves the size
# it has without gzip in $tmp/unpacked.
why_no_dump() {
    [ -s "$1" ] || {
        echo 'is empty'
        return
    }
    case $(first_bytes 4 <"$1") in
    1f8b*)
        { gzip -dc "$1" 2>/dev/null || : >"$tmp/damaged"; } | wc -c | tr -d ' ' >"$tmp/unpacked"
        [ ! -f "$tmp/damaged" ] || {
            echo 'is truncated or damaged (gzip -t)'
            return
        }
        gzip -dc "$1" 2>/dev/null | head -c 65536 >"$tmp/head" || :
        ;;
    *)
        head -c 65536 "$1" >"$tmp/head"
        size_of "$1" >"$tmp/unpacked"
        ;;
    esac
    case $(first_bytes 5 <"$tmp/head") in
    '') echo 'is empty inside' ;;
    5047444d50) ;; # PGDMP
    fffe* | feff* | [2-7]?00[02-7][1-9a-f]00* | 00[2-7]?00[02-7][1-9a-f]*) echo 'is UTF-16 text, as a Windows shell writes what is redirected. Let pg_dump write it: pg_dump -f FILE DATABASE' ;;
    504b0304*) echo 'is a zip archive, not a dump' ;;
    fd377a585a | 425a68* | 28b52ffd*) echo 'is compressed with something else than gzip' ;;
    1f8b*) echo 'is compressed twice' ;;
    *)
        if [ "$(tail -c +258 "$tmp/head" | head -c 5)" = ustar ]; then
            : # an archive in tar or, packed with tar, directory format
        elif head -c 1024 "$tmp/head" | grep -qi '<!doctype html\|<html'; then
            echo 'is a web page, not a dump'
        elif [ "$(tr -d '\0' <"$tmp/head" | wc -c)" -ne "$(wc -c <"$tmp/head")" ] ||
            ! grep -qiE '^[[:space:]]*(--|/\*|\\|(set|create|drop|insert|copy|begin|select|alter|start|do|grant|with|comment)[[:space:];])' "$tmp/head"; then
            echo "is neither an SQL dump nor an archive of pg_dump"
        fi
        ;;
    esac
}

first_bytes() {
    head -c "$1" | od -An -v -tx1 | tr -d ' \n'
}

main
