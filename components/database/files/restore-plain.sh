# Restore a plain dump: psql in one transaction, behind plain-filter.awk. Sourced by database.sh.
# shellcheck shell=bash

: "${home:?}" "${work:?}" "${socket?}"

restore_plain() {
    local dump=$1
    unpacked "$dump" 2>/dev/null | head -c 8192 >"$work/head" || :
    ! grep -aq '^-- PostgreSQL database cluster dump' "$work/head" || refuse_cluster_dump "$dump"
    dump_versions "$work/head" >"$work/versions"
    create_extensions < <(unpacked "$dump" 2>/dev/null | extensions_in_dump || :)
    restore_through_psql unpacked "$dump"
}

# pg_dumpall writes all databases of a server into one file.
refuse_cluster_dump() {
    local databases command='pg_dump -Fc -f FILE DATABASE'
    unpacked "$1" 2>/dev/null |
        sed -n 's/^\\connect \(-reuse-previous=[a-z]* "dbname=\)\{0,1\}\([^\r]*\).*/\2/p' | tr -d "\"'" |
        awk '!/^template[01]$/ && !seen[$0]++' >"$work/databases" || :
    [[ -s $work/databases ]] ||
        refuse 'it has the roles of a server, but no database (pg_dumpall --globals-only)' "dump the database: $command"
    databases=$(paste -s -d , "$work/databases" | sed 's/,/, /g')
    read -r command < <(sed '/^postgres$/d; s/.*/pg_dump -Fc -f &.dump &/' "$work/databases") || :
    refuse "it is a dump of all databases of a server (pg_dumpall): $databases" "dump one of them: $command"
}

# End when a filter has refused the dump.
check_refused() {
    local fix=
    [[ -s $work/refused ]] || return 0
    grep -qvE 'data-only|several databases' "$work/refused" || fix='make a dump of one whole database, pg_dump -Fc -f FILE DATABASE'
    refuse "$(cat "$work/refused")" "$fix"
}

filter_plain() {
    LC_ALL=C awk -v dir="$work" -f "$home/statements.awk" -f "$home/plain-filter.awk"
}

# Send what a command prints through the filter into psql, and end with the reason when one of the three fails.
restore_through_psql() {
    local status=(0 0 0) options=(-v ON_ERROR_STOP=1 -v VERBOSITY=verbose)
    # Where psql has it: from here on it refuses its own commands, which can run programs.
    ! sql postgres -c '\restrict dump' 2>/dev/null || options+=(-c '\restrict dump')
    "$@" 2>"$work/unpack.log" |
        filter_plain 2>"$work/filter.log" |
        PGOPTIONS='-c client_min_messages=warning' psql -X -q -A -t -w -h "$socket" -U loader -d dhis -1 \
            "${options[@]}" -f - >/dev/null 2>"$work/psql.log" || status=("${PIPESTATUS[@]}")
    check_refused
    ((status[2] == 0)) || restore_failed "$(psql_error "$work/psql.log")"
    ((status[0] == 0 && status[1] == 0)) ||
        refuse "it cannot be read: $(cat "$work/unpack.log" "$work/filter.log" | head -n 3 | tr '\n' ' ')"
}

# The first error psql reports, in one line: the line of the dump, SQLSTATE, message, and what tells where it is.
psql_error() {
    awk '/(^| )(ERROR|FATAL|error): / && !seen { seen = 1; sub(/^psql:<stdin>:/, "line "); sub(/^psql:[^ ]* /, ""); print substr($0, 1, 400) }
        /^(DETAIL|CONTEXT|TABLE NAME):/ { print substr($0, 1, 300) }' "$1" | tr -s '\n ' ' ' | sed 's/ $//'
}
