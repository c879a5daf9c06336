#!/bin/sh
# One-shot: copies restic and supercronic into the volume that the backup container runs them from. Both are statically
# linked in their releases, so they run beside the pg_dump of the database's image, whatever that is built on. ssh is not:
# for a repository on SFTP (WITH_SSH) it is copied with its libraries and their loader.
set -eu

tools=/var/tmp
release=https://github.com/aptible/supercronic/releases/download/v0.2.49

fatal() {
    echo "fatal: $*" >&2
    exit 1
}

# Another process never sees half of a file, and an image of before may have a program open.
place() {
    chmod 755 "$1"
    mv "$1" "$tools/$2"
}

# Of Alpine and Debian alike, ldd prints the path of each library, and that of the loader.
copy_ssh() {
    ssh=$(command -v ssh) ||
        fatal 'this image has no ssh, which a backupRepository on SFTP needs. Fix: pulumi config rm backupImage && pulumi up'
    mkdir "$tools/ssh.new"
    libraries=$(ldd "$ssh" | grep -o '/[^ ]*' | sort -u)
    # shellcheck disable=SC2086 # one word a library
    cp "$ssh" $libraries "$tools/ssh.new"
    set -- "$tools"/ssh.new/ld*.so.*
    version=$("$1" --library-path "$tools/ssh.new" "$tools/ssh.new/ssh" -V 2>&1) ||
        fatal "ssh of this image does not run from a copy: $version. Fix: pulumi config rm backupImage && pulumi up"
    rm -rf "$tools/ssh"
    mv "$tools/ssh.new" "$tools/ssh"
    echo "$version" >&2
}

rm -rf "$tools"/*.new
restic=$(command -v restic) || fatal 'this image has no restic. Fix: pulumi config rm backupImage && pulumi up'
cp "$restic" "$tools/restic.new"
place "$tools/restic.new" restic
# For a repository behind https: the database's image may have none.
if [ -s /etc/ssl/certs/ca-certificates.crt ]; then
    cp /etc/ssl/certs/ca-certificates.crt "$tools/ca-certificates.crt"
fi

if supercronic=$(command -v supercronic); then
    cp "$supercronic" "$tools/supercronic.new"
else
    case $(uname -m) in
    x86_64) name=supercronic-linux-amd64 sha256=a53ae236602c7338aba3fbaff40bda6300eae3b9fedb8261eb06cfe3724430c1 ;;
    aarch64) name=supercronic-linux-arm64 sha256=02aa0cb229ba09050cba6638059dadb9eedc2276632ea43d6a57a2f8c1629dd5 ;;
    *) fatal "there is no supercronic for $(uname -m). Fix: pulumi config set backupSchedule off && pulumi up" ;;
    esac
    echo "fetching supercronic from $release/$name" >&2
    wget -q -O "$tools/supercronic.new" "$release/$name" ||
        fatal "supercronic cannot be fetched from $release/$name. Try again: pulumi up; or name an image that has restic and supercronic: pulumi config set backupImage IMAGE"
    echo "$sha256  $tools/supercronic.new" | sha256sum -c - >/dev/null 2>&1 ||
        fatal "what was fetched from $release/$name is not supercronic v0.2.49: its SHA-256 is another one. Is a proxy in between? Try again: pulumi up"
fi
place "$tools/supercronic.new" supercronic
echo "$("$tools/restic" version), supercronic" >&2
[ -z "${WITH_SSH:-}" ] || copy_ssh
