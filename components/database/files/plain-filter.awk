# Filter of a plain dump on its way to psql, for correctness only: it leaves out what cannot be restored here. One line in
# is one line out, so that psql's line numbers are the dump's. Works on bytes: run it with LC_ALL=C, after statements.awk.
#
# It relies on the form pg_dump writes: a statement begins in column 0, a line that ends with `;` ends it, `\.` ends the
# rows of COPY. Strings, quoted names and dollar-quoted bodies are followed to their closing quote; nothing in them counts.
#
# Reads in `dir`: parameters, relations, schemas, wrappers, extensions, missing-extensions. Writes there: left-out, refused,
# database-settings.
BEGIN {
    read("parameters", known); read("relations", relation); read("schemas", schema); read("wrappers", wrapper)
    read("extensions", extension); missing = read("missing-extensions", extension)
    name = "(\"[^\"]*\"|[^ \";])+" # also one with its schema
    # Roles, grants, whole databases and the transaction are this server's own.
    own = "^(GRANT|REVOKE|REASSIGN OWNED|ALTER DEFAULT PRIVILEGES|(RE)?SET (SESSION AUTHORIZATION|ROLE)|BEGIN" \
        "|(ALTER|CREATE|DROP|COMMENT ON) (ROLE|USER|GROUP|TABLESPACE|DATABASE)|COMMENT ON EXTENSION|COMMIT|VACUUM" \
        "|(CREATE|CREATE OR REPLACE|COMMENT ON) (TRUSTED )?(PROCEDURAL )?LANGUAGE PLPGSQL)[ ;]"
    owner = "^ALTER .* OWNER TO " name " ?;[ \t\r]*$"
    setting = "^ALTER (ROLE|USER|DATABASE) " name " (IN DATABASE " name " )?SET "
    # Those that decide what a statement means; the others are about another server.
    meaning = "SET \"?(SEARCH_PATH|TIMEZONE|DATESTYLE|INTERVALSTYLE|BYTEA_OUTPUT|DEFAULT_TEXT_SEARCH_CONFIG)\"? (TO|=) .*;[ \t\r]*$"
    superuser = "^(ALTER|CREATE|COMMENT ON) (EVENT TRIGGER|PUBLICATION|SUBSCRIPTION|USER MAPPING) |^SECURITY LABEL " \
        "|^CREATE POLICY " name " ON " name " (AS RESTRICTIVE )?(FOR [A-Z]+ )?TO |^ALTER TABLE .* FORCE ROW LEVEL SECURITY"
    clean = "^(DROP |ALTER .* (DROP|DETACH) |CREATE OR REPLACE VIEW |SELECT PG_CATALOG[.]LO_UNLINK)"
    create = "^CREATE ((UNLOGGED|FOREIGN|MATERIALIZED|OR REPLACE) )*(TABLE|VIEW|SEQUENCE|FUNCTION|PROCEDURE|TYPE) (IF NOT EXISTS )?"
    alter = "^(ALTER (TABLE|SEQUENCE)|CREATE (UNIQUE INDEX|INDEX|TRIGGER|CONSTRAINT TRIGGER|POLICY)) "
}
NR == 1 { sub(/^\357\273\277/, "") } # the byte order mark
copying { print left_out ? "" : $0; if ($0 == "\\." || $0 == "\\.\r") copying = 0; next }
!open && /^([ \t\r]*|\/\*.*\*\/[ \t\r]*)$/ { print; next }
!open && /^--/ { if (/^-- PostgreSQL database dump/) { pg_dump = 1; complete = / complete/ } print; next }
!open && /^\\/ {
    if ($1 !~ /^\\(restrict|unrestrict|connect|c|encoding|echo|pset|timing)$/ && !/^\\set (ON_ERROR_STOP|ECHO|QUIET)/)
        refuse("line " NR " has the psql command " $1 ", which a dump does not need and which is not run")
    if ($1 ~ /^\\c/ && database == "" && restoring) database = "one without a name"
    if ($1 ~ /^\\c/ && database != "" && database != $NF) refuse("it has several databases, " database " and " $NF " (line " NR ")")
    if ($1 ~ /^\\c/) database = $NF
    print ""; next
}
{
    if (!open) begin(toupper(substr($0, 1, 400)))
    follow($0)
    if (index(code, "\\")) refuse("line " NR " has a psql command in a statement, which is not run")
    if (held != "") lines = lines $0 "\n"
    else print left_out ? "" : $0
    if (quote != "" || code !~ /;[ \t\r]*$/) next
    open = 0
    if (held != "") release()
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
    open = NR; left_out = 0; table = held = ""
    if (line ~ /^INSERT INTO /) { check_rows(name_after($2 " ")); restoring = 1 }
    else if (line ~ /^COPY /) { check_rows(table = name_after($1 " ")); restoring = 1 }
    else if (match(line, setting)) check_setting(line, substr($0, 1, RLENGTH) name_after(substr($0, 1, RLENGTH)))
    else if (line ~ superuser) leave_out(match($0, /^CREATE POLICY [^ ]+ ON [^ ]+|^ALTER TABLE .* SECURITY|^[A-Z ]+[^ (;]+/) ? substr($0, 1, RLENGTH) : $1)
    else if (line ~ own || line ~ owner) left_out = 1
    else if (line ~ /^CREATE EXTENSION /) { id = $3 ~ /^[Ii][Ff]$/ ? $6 : $3; gsub(/[";\r]/, "", id); left_out = id in extension }
    else if (match(line, /^SET [A-Z_]+ (=|TO) |^SELECT PG_CATALOG[.]SET_CONFIG\('[A-Z_]+'/)) check_parameter(tolower($0))
    else if (!restoring && line ~ clean && (pg_dump || line !~ /^CREATE/)) left_out = 1
    else {
        restoring = 1; if (line !~ /^(ALTER|SELECT) /) creating = 1
        if (sub(/^CREATE SCHEMA (IF NOT EXISTS )?/, "CREATE SCHEMA IF NOT EXISTS ")) {
            sub(/ AUTHORIZATION [^;]*/, ""); schema[unquoted(name_after("EXISTS "))] = 1
        } else if (match(line, create)) check_object(substr($0, 1, RLENGTH))
        else if (line ~ alter && match($0, / (ON|TABLE|SEQUENCE) (ONLY )?/)) check_relation(name_after(substr($0, 1, RSTART + RLENGTH - 1)))
        else if (missing && sub(/^SELECT pg_catalog.setval\('/, "SELECT pg_catalog.setval(to_regclass('")) sub(/', /, "'), ")
        if (missing && match($0, / EXECUTE (FUNCTION|PROCEDURE) /)) check_schema(name_after(substr($0, RSTART, RLENGTH)), "TRIGGER " name_after(" TRIGGER "))
        if (missing && match($0, /^CREATE SERVER .* FOREIGN DATA WRAPPER /)) check_server(unquoted(name_after(substr($0, 1, RLENGTH))))
    }
}
