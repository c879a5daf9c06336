# Which copies of restored databases stay in the dump cache. Sourced by fetch-dump.sh, which runs in the NGINX image as
# another user, and by database.sh: a copy's directories are writable for both, its files readable for the databases alone.
# shellcheck shell=sh

: "${cache:?}"
copies=$cache/copies # <name>: complete, .part: being made, .removed: being removed, .lock; and `size`, of the cache in MB

# Run a command while no stack makes or uses a copy; false where one does. The kernel releases the lock with its holder.
with_lock() (
    umask 0
    : >>"$1.lock" && exec 8<"$1.lock" && flock -n 8 || exit 1
    shift
    "$@" 8<&-
)

remove_copy() {
    with_lock "$1" mv "$1" "$1.removed" && rm -rf "$1.removed"
}

# Remove what a kill has left.
remove_unfinished() {
    for unfinished in "$copies"/*.part "$copies"/*.removed; do
        [ ! -e "$unfinished" ] || with_lock "${unfinished%.*}" rm -rf "$unfinished" || :
    done
}

# Remove copies, the least recently used first, as long as a command succeeds. One that is in use stays.
remove_copies_while() {
    remove_unfinished
    # Without copies stat fails, which is no failure of the script.
    for candidate in $({ stat -c '%Y %n' "$copies"/* 2>/dev/null || :; } | sort -n | sed -n 's/^.*[/]\([0-9a-f]\{64\}\)$/\1/p'); do
        "$@" || return 0
        remove_copy "$copies/$candidate" || :
    done
}

# Whether the dump cache has more than so many kB.
exceeds() {
    [ "$(du -sk "$cache" 2>/dev/null | cut -f 1)" -gt "$1" ]
}

free_kb() {
    df -Pk "$1" | awk 'END { print $4 }'
}

# Whether less than so many kB are free on the disk of a folder.
lacks() {
    [ "$(free_kb "$1")" -lt "$2" ]
}
