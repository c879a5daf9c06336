# Filter of a plain dump on its way to psql, for correctness only: it leaves out what cannot be restored here. One line in
# is one line out, so that psql's line numbers are the dump's. Works on bytes: run it with LC_ALL=C.
#
# It relies on the form pg_dump writes: a statement begins in column 0, a line that ends with `;` ends it, `\.` ends the
# rows of COPY. Strings, quoted names and dollar-quoted bodies are followed to their closing quote; nothing in them counts.
#
# Reads in `dir`: parameters, relations, extensions, missing-extensions. Writes there: left-out, refused.
BEGIN {
    read("parameters", known); read("relations", relation); read("extensions", extension)
    missing = read("missing-extensions", extension)
    # Roles, grants, whole databases and the transaction are this server's own.
    own = "^(GRANT|REVOKE|REASSIGN OWNED|SECURITY LABEL|ALTER DEFAULT PRIVILEGES|(RE)?SET (SESSION AUTHORIZATION|ROLE)|BEGIN" \
        "|(ALTER|CREATE|DROP|COMMENT ON) (ROLE|USER|GROUP|TABLESPACE|DATABASE)|COMMENT ON EXTENSION|COMMIT|VACUUM)[ ;]"
    owner = "^ALTER .* OWNER TO ((\"[^\"]*\")+|[^ \";]+) ?;[ \t\r]*$"
    superuser = "^(ALTER|CREATE|COMMENT ON) (EVENT TRIGGER|PUBLICATION|SUBSCRIPTION|USER MAPPING) "
    clean = "^(DROP |ALTER .* (DROP|DETACH) |CREATE OR REPLACE VIEW |SELECT PG_CATALOG[.]LO_UNLINK)"
    create = "^CREATE (UNLOGGED |FOREIGN |MATERIALIZED )?(TABLE|VIEW) (IF NOT EXISTS )?"
    alter = "^(ALTER TABLE|CREATE (UNIQUE INDEX|INDEX|TRIGGER|CONSTRAINT TRIGGER|POLICY)) "
}
NR == 1 { sub(/^\357\273\277/, "") } # the byte order mark
copying { print left_out ? "" : $0; if ($0 == "\\." || $0 == "\\.\r") copying = 0; next }
!open && /^[ \t\r]*$/ { print; next }
!open && /^--/ { if (/^-- PostgreSQL database dump/) { pg_dump = 1; complete = / complete/ } print; next }
!open && /^\\/ {
    if ($1 !~ /^\\(restrict|unrestrict|connect|c|encoding|echo|pset|timing)$/ && !/^\\set (ON_ERROR_STOP|ECHO|QUIET)/)
        refuse("line " NR " has the psql command " $1 ", which a dump does not need and which is not run")
    if ($1 ~ /^\\c/ && database != "" && database != $NF) refuse("it has several databases, " database " and " $NF " (line " NR ")")
    if ($1 ~ /^\\c/) database = $NF
    print ""; next
}
{
    if (!open) begin(toupper(substr($0, 1, 400)))
    follow($0)
    if (index(code, "\\")) refuse("line " NR " has a psql command in a statement, which is not run")
    print left_out ? "" : $0
    if (quote != "" || code !~ /;[ \t\r]*$/) next
    open = 0
    copying = table != "" && toupper(code) ~ /FROM STDIN/
}
END {
    if (refused) exit 1
    if (copying) refuse("it is truncated: it ends in the rows of the table " table)
    if (open) refuse("it is truncated: it ends in the statement that begins in line " open)
    if (pg_dump && !complete) refuse("it is truncated: it ends in line " NR " without the last line pg_dump writes")
}

# A statement begins, `line` in capitals: decide whether it is left out.
function begin(line,    id) {
    open = NR; left_out = 0; table = ""
    if (line ~ /^INSERT INTO /) { restoring = 1; check_relation(name_after($2 " ")) }
    else if (line ~ /^COPY /) { restoring = 1; check_relation(table = name_after($1 " ")) }
    else if (line ~ own && line !~ / USER MAPPING / || line ~ owner) left_out = 1
    else if (line ~ superuser) leave_out(match($0, /^[A-Z ]+[^ (;]+/) ? substr($0, 1, RLENGTH) : $1)
    else if (line ~ /^CREATE EXTENSION /) { id = $3 ~ /^[Ii][Ff]$/ ? $6 : $3; gsub(/[";\r]/, "", id); left_out = id in extension }
    else if (match(line, /^SET [A-Z_]+ (=|TO) |^SELECT PG_CATALOG[.]SET_CONFIG\('[A-Z_]+'/)) check_parameter(tolower($0))
    else if (!restoring && line ~ clean && (pg_dump || line !~ /^CREATE/)) left_out = 1
    else {
        restoring = 1
        if (sub(/^CREATE SCHEMA (IF NOT EXISTS )?/, "CREATE SCHEMA IF NOT EXISTS ")) sub(/ AUTHORIZATION [^;]*/, "")
        else if (match(line, create)) relation[name_after(substr($0, 1, RLENGTH))] = 1
        else if (line ~ alter && match($0, / (ON|TABLE) (ONLY )?/)) check_relation(name_after(substr($0, RSTART, RLENGTH)))
        else if (missing && sub(/^SELECT pg_catalog.setval\('/, "SELECT pg_catalog.setval(to_regclass('")) sub(/', /, "'), ")
    }
}
# A table that neither the dump nor an extension creates belongs to a missing extension, and so do its rows.
function check_relation(id) { if (missing && id ~ /[.]/ && !(id in relation)) leave_out(id) }
function check_parameter(line,    id) {
    id = line; sub(/^(set |select pg_catalog[.]set_config\(')/, "", id); sub(/[ '].*/, "", id)
    left_out = !(id in known) || id == "default_tablespace" || id == "client_encoding" && line ~ /sql_ascii/
}
# Follow a line: `code` is what is outside of quotes, `quote` what is open at its end, `escapes` in a string with backslashes.
function follow(rest,    at) {
    for (code = ""; ; quote = "") {
        if (quote == "") {
            if (!match(rest, /['"]|--|\$([A-Za-z_][A-Za-z0-9_]*)?\$/)) { code = code rest; return }
            code = code substr(rest, 1, RSTART - 1); quote = substr(rest, RSTART, RLENGTH); rest = substr(rest, RSTART + RLENGTH)
            if (quote == "--") { quote = ""; return }
            escapes = quote == "'" && code ~ /(^|[^A-Za-z0-9_])[eE]$/
        }
        while (escapes && match(rest, /^[^'\\]*(\\.|'')/)) rest = substr(rest, RLENGTH + 1)
        if (!(at = index(rest, quote))) return
        rest = substr(rest, at + length(quote))
    }
}
function name_after(before,    rest) {
    rest = substr($0, index($0, before) + length(before))
    return match(rest, /^(("[^"]*")+|[^ ".(,;']+)([.](("[^"]*")+|[^ ".(,;']+))?/) ? substr(rest, 1, RLENGTH) : rest
}
function leave_out(what) { left_out = 1; if (what != last) print last = what > (dir "/left-out") }
function refuse(reason) { print reason > (dir "/refused"); refused = 1; exit 1 }
function read(file, set,    line, n) { while ((getline line < (dir "/" file)) > 0) set[line] = ++n; return n }
