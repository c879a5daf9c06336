# Loads a dump into the database dhis of the private server: plain SQL or pg_dump's custom format, each maybe gzip'd.
# Sourced, POSIX sh. The server's superuser is postgres; what is loaded belongs to the role loader at first.
# shellcheck shell=sh

: "${home:?}" "${staging:?}"

work=$staging/work

# Print what kind of dump a file is: its first bytes, unpacked.
dump_kind() {
    case $(unpacked "$1" 2>/dev/null | head -c 5 | tr -d '\0') in
    PGDMP) echo custom ;;
    *) echo plain ;;
    esac
}

is_gzip() {
    [ "$(od -An -N2 -tx1 "$1" | tr -d ' \n')" = 1f8b ]
}

# The text of a dump. The process id tells progress() how far the file has been read.
unpacked() {
    if is_gzip "$1"; then
        sh -c 'echo $$ >"$2/reader" 2>/dev/null; exec gzip -dc <"$1"' sh "$1" "$work"
    else
        sh -c 'echo $$ >"$2/reader" 2>/dev/null; exec cat <"$1"' sh "$1" "$work"
    fi
}

load() {
    mkdir -p "$work/keys" "$work/indexes" "$work/validate"
    : >"$work/done"
    progress "$1" &
    reporter=$!
    "load_$(dump_kind "$1")" "$1"
    kill "$reporter" 2>/dev/null || :
    [ ! -f "$work/left-out" ] ||
        say "extensions this image does not have were left out: $(sort -u "$work/left-out" | tr '\n' ' ')"
}

load_plain() {
    sql postgres -c "SELECT name FROM pg_settings" >"$work/settings"
    sql postgres -c "SELECT name FROM pg_available_extensions" >"$work/extensions"
    {
        unpacked "$1" || echo "the file cannot be unpacked" >"$work/unreadable"
    } 2>"$work/unpack.log" | {
        LC_ALL=C awk -f "$home/split.awk" -f "$home/batches.awk" -v dir="$work" -v settings="$work/settings" \
            -v extensions="$work/extensions" -v jobs="${jobs:?}" || echo "it cannot be read" >>"$work/unreadable"
    } 2>"$work/split.log" | {
        as_loader -1 -f - >/dev/null 2>"$work/main.log" || failed main
    } || exit 1
    [ ! -s "$work/refused" ] || refuse "$(cat "$work/refused")"
    [ ! -s "$work/unreadable" ] || refuse "$(cat "$work/unreadable" "$work/split.log" | head -n 3 | tr '\n' ' ')"
    parallel keys 'building keys and indexes'
    parallel indexes 'building indexes of the biggest tables'
    in_order soft
    in_order foreign
    parallel validate 'checking references'
    in_order tail
}

# psql as the owner of what is loaded. Progress and results go to standard output, errors with line numbers to the log.
as_loader() {
    PGOPTIONS='-c client_min_messages=warning' psql -X -q -A -t -w -v ON_ERROR_STOP=1 -h "${socket:?}" -U loader -d dhis "$@"
}

# One file of statements in one transaction, when there is any.
in_order() {
    [ -s "$work/$1.sql" ] || return 0
    { [ "$1" = tail ] || cat "$work/preamble"; cat "$work/$1.sql"; } >"$work/$1.all"
    as_loader -1 -f "$work/$1.all" >/dev/null 2>"$work/$1.log" || failed "$1"
}

# All batches of a phase, as many at a time as there are jobs.
parallel() {
    set -- "$1" "$2" "$work/$1"
    [ -n "$(ls "$3")" ] || return 0
    : >"$work/done"
    say "$2"
    echo "$2: @ of $(cat "$3.total")" >"$work/phase"
    # One session an index wastes less than several, where there are enough indexes for all.
    options='-c client_min_messages=warning'
    [ "$(find "$3" -name '*.sql' | wc -l)" -lt $((2 * jobs)) ] || options="$options -c max_parallel_maintenance_workers=0"
    # shellcheck disable=SC2016 # the inner shell's variables
    find "$3" -name '*.sql' | sort | PGOPTIONS=$options xargs -n 1 -P "$jobs" sh -c '
        psql -X -q -A -t -w -v ON_ERROR_STOP=1 -h "$1" -U loader -d dhis -f "$3" >>"$2/done" 2>"$3.log" ||
            { [ -s "$2/failed" ] || echo "$3" >"$2/failed"; exit 255; }' sh "$socket" "$work" ||
        failed "$1"
    rm -f "$work/phase"
}

# Give up with the server's message and the place in the dump.
failed() {
    log=$work/$1.log
    file=$work/$1.all
    [ ! -s "$work/failed" ] || file=$(cat "$work/failed") log=$file.log
    line=$(sed -n 's/^psql:[^ ]*:\([0-9][0-9]*\): ERROR:.*/\1/p' "$log" | head -n 1)
    case $1 in
    main) place=$line ;;
    tail) place=$((${line:-2} + $(cat "$work/tail.line") - 2)) ;;
    *) place=$(awk -v line="${line:-0}" 'NR <= line && /^-- line [0-9]+$/ { place = $3 } END { print place }' "$file") ;;
    esac
    [ ! -s "$work/refused" ] || refuse "$(cat "$work/refused")"
    message=$(sed -n -e 's/^psql:[^ ]* //' -e '/^ERROR\|^DETAIL\|^CONTEXT\|^FATAL\|^error/p' "$log" | cut -c 1-300 | head -n 3 | tr '\n' ' ')
    refuse "line ${place:-?}: ${message:-$(tail -n 3 "$log" | tr '\n' ' ')}"
}

refuse() {
    fatal "the dump $DUMP_NAME cannot be loaded: $1; nothing of it is kept. Choose another: pulumi config set dumpUrl https://…"
}

# pg_dump's custom format: pg_restore finds out itself what may run at the same time.
load_custom() {
    archive=$1
    if is_gzip "$1"; then
        say 'unpacking the archive'
        archive=$work/archive
        gzip -dc "$1" >"$archive" || refuse 'the file cannot be unpacked'
    fi
    pg_restore -l "$archive" >"$work/list.all" 2>"$work/custom.log" ||
        refuse "$(head -n 3 "$work/custom.log" | tr '\n' ' ')"
    sql postgres -c "SELECT name FROM pg_available_extensions" >"$work/extensions"
    restore_extensions
    # Made by us already, or of no use here.
    sed -E '/^[0-9]+; [0-9]+ [0-9]+ (EXTENSION|COMMENT - EXTENSION|SCHEMA - public|ACL|DEFAULT ACL|DATABASE|SUBSCRIPTION)( |$)/d' \
        "$work/list.all" >"$work/list"
    total=$(grep -c '^[0-9]' "$work/list" || :)
    echo "restoring objects: @ of $total" >"$work/phase"
    pg_restore -j "$jobs" -L "$work/list" --no-owner --no-acl --exit-on-error --verbose -h "$socket" -U loader \
        -d dhis "$archive" 2>&1 | custom_progress
    [ -f "$work/restored" ] || failed_custom
    rm -f "$work/phase" "$work/archive"
}

# Extensions belong to the superuser; those the image does not have are left out.
restore_extensions() {
    sed -nE 's/^[0-9]+; [0-9]+ [0-9]+ EXTENSION - ([^ ]+).*/\1/p' "$work/list.all" | while IFS= read -r extension; do
        if grep -qxF -- "$extension" "$work/extensions"; then
            sql dhis -c "CREATE EXTENSION IF NOT EXISTS \"$extension\" CASCADE" 2>/dev/null || :
        else
            echo "$extension" >>"$work/left-out"
        fi
    done
}

# Reads pg_restore's report: what it is at, and whether it came to the end without an error.
custom_progress() {
    LC_ALL=C awk -v dir="$work" '
        /processing data for table/ { sub(/.*table /, ""); print > (dir "/now"); close(dir "/now") }
        /^pg_restore: (finished item|launching item|processing item)/ { if (/finished/) { print "done" >> (dir "/done"); fflush() } next }
        /error:|ERROR:|FATAL:|DETAIL:|CONTEXT:/ { print >> (dir "/custom.log"); bad = 1 }
        END { if (!bad) print "" > (dir "/restored") }'
}

failed_custom() {
    refuse "$(cut -c 1-300 "$work/custom.log" | head -n 4 | tr '\n' ' ')"
}

# Say what is being done, when that has changed, every few seconds.
progress() {
    size=$(wc -c <"$1")
    said=
    while sleep 3; do
        if [ -s "$work/phase" ]; then
            now="$(sed "s/@/$(grep -c '^done$' "$work/done" || :)/" "$work/phase")"
        else
            read_bytes=$(sed -n 's/^pos:[^0-9]*//p' "/proc/$(cat "$work/reader" 2>/dev/null || :)/fdinfo/0" 2>/dev/null || :)
            now="loading table $(cat "$work/now" 2>/dev/null || echo '…') ($((${read_bytes:-$size} * 100 / size)) % of the dump)"
        fi
        [ "$now" = "$said" ] || say "$now"
        said=$now
    done
}
