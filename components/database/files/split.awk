# Splits a plain SQL dump as it streams through, so that indexes and keys can be built in parallel.
#
# To standard output: everything up to the first index or key, in order, line for line (what is left out becomes an
# empty line, so that the server's line numbers are the dump's). Into files below `dir`, described in batches.awk: what
# may be done in parallel, and `tail.sql`: everything from the first statement on that might depend on those.
# Whatever is not known for certain stays in order. Works on bytes: run with LC_ALL=C.
#
# Given: dir, settings (file of the server's parameters), extensions (file of the available ones).

BEGIN {
    while ((getline line < settings) > 0) known[line] = 1
    while ((getline line < extensions) > 0) available[line] = 1
    part = "\"[^\"]*\"|[^\" .(]+"
    name = "(" part ")"
    table = "(" part ")([.](" part "))?"
    key_form = "^ALTER TABLE ONLY " table " ADD CONSTRAINT " name " (PRIMARY KEY|UNIQUE|CHECK|EXCLUDE) ?"
    foreign_form = "^ALTER TABLE ONLY " table " ADD CONSTRAINT " name " FOREIGN KEY ?"
    index_form = "^CREATE (UNIQUE )?INDEX " name " ON (ONLY )?" table " USING "
    soft_form = "^(COMMENT ON (INDEX|CONSTRAINT|TRIGGER|RULE|POLICY|STATISTICS|TABLE|COLUMN) |ALTER INDEX .* ATTACH PARTITION |CREATE (CONSTRAINT )?TRIGGER |CREATE STATISTICS |SELECT (PG_CATALOG[.])?SETVAL\\(|ALTER TABLE (ONLY )?[^;]* (CLUSTER ON|REPLICA IDENTITY|ENABLE TRIGGER|DISABLE TRIGGER) )"
    roles_form = "^(GRANT|REVOKE|ALTER DEFAULT PRIVILEGES|REASSIGN OWNED|SET SESSION AUTHORIZATION|RESET SESSION AUTHORIZATION|SET ROLE|RESET ROLE|(CREATE|ALTER|DROP) (ROLE|USER|GROUP|SUBSCRIPTION|TABLESPACE)) "
    create_form = "^CREATE (UNLOGGED )?TABLE " table " \\("
    whole_form = "^((CREATE|ALTER|DROP|COMMENT ON) DATABASE |(BEGIN|START TRANSACTION|COMMIT|END|VACUUM)( |;))"
    head = 1 # only DROPs so far
    place = "main"
    tail = dir "/tail.sql"
}

copying {
    put($0)
    copied += length($0) + 1
    if ($0 == "\\." || $0 == "\\.\r") { copying = 0; weight[copy_table] += copied }
    next
}

!open && /^[ \t\r]*$/ { put($0); next }
!open && /^[ \t]*--/ {
    if (NR < 6 && /PostgreSQL database dump/) pg_dump = 1
    if (/PostgreSQL database dump complete/) complete = 1
    put($0)
    next
}
!open && /^\\/ { meta($0); next }

{
    if (!open) begin()
    bare = ""
    scan($0)
    weigh_up()
    if (streaming) put($0)
    else lines[++held] = $0
    if (state == "" && parens <= 0 && blocks <= 0 && bare ~ /;[ \t\r]*$/) finish()
}

function begin() {
    open = opened = NR
    held = parens = blocks = many = 0
    state = code = ""
    streaming = /^INSERT INTO /
    if (streaming) {
        if (deferring && place == "main") turn_to_tail()
        head = 0
        split(substr($0, 1, 200), words, " ")
        into = words[3]
    }
    routine = toupper(substr($0, 1, 80)) ~ /^CREATE (OR REPLACE )?(FUNCTION|PROCEDURE) /
}

# Leave what is code of a line, outside strings, names in quotes and comments, in `bare`; `state` goes on to the next.
function scan(rest,    at, mark, tag) {
    if (streaming && state == "" && !escapes && rest !~ /[^A-Za-z0-9_][eE]'|\$|--|\/\*|"[^"]*'[^"]*"/) {
        # The many lines of a dump made of INSERTs, fast: a doubled quote is the end of one string and the next.
        bare = rest
        gsub(/'[^']*'/, "", bare)
        at = index(bare, "'")
        if (at) { state = "'"; bare = substr(bare, 1, at - 1) }
        return
    }
    while (1) {
        if (state == "") {
            if (!match(rest, /['"$\/-]/)) { bare = bare rest; return }
            at = RSTART
            mark = substr(rest, at, 1)
            bare = bare substr(rest, 1, at - 1)
            if (mark == "'") {
                state = escapes || substr(rest, 1, at - 1) ~ /(^|[^A-Za-z0-9_$])[eE]$/ ? "e" : "'"
                at++
            } else if (mark == "\"") { state = mark; at++ }
            else if (mark == "$") {
                tag = substr(rest, at)
                if (substr(rest, 1, at - 1) !~ /[A-Za-z0-9_$\200-\377]$/ && match(tag, /^\$([A-Za-z_\200-\377][A-Za-z0-9_\200-\377]*)?\$/)) {
                    state = substr(tag, 1, RLENGTH)
                    at += RLENGTH
                } else { bare = bare mark; at++ }
            } else if (substr(rest, at, 2) == "--") return
            else if (substr(rest, at, 2) == "/*") { state = "/*"; nested = 1; at += 2 }
            else { bare = bare mark; at++ }
            rest = substr(rest, at)
        } else if (state == "e") {
            if (!match(rest, /\\.|''|'|\\$/)) return
            mark = substr(rest, RSTART, RLENGTH)
            rest = substr(rest, RSTART + RLENGTH)
            if (mark == "'") state = ""
        } else if (state == "/*") {
            if (!match(rest, /\/\*|\*\//)) return
            nested += substr(rest, RSTART, 2) == "/*" ? 1 : -1
            rest = substr(rest, RSTART + 2)
            if (!nested) state = ""
        } else {
            at = index(rest, state)
            if (!at) return
            rest = substr(rest, at + length(state))
            state = ""
        }
    }
}

# Parentheses (a rule's commands stand in them) and, as psql does it, BEGIN ATOMIC and CASE up to END in routines.
function weigh_up(    rest, i, n, words) {
    rest = bare
    parens += gsub(/\(/, "", rest) - gsub(/\)/, "", rest)
    if (length(code) < 8000) code = code " " bare
    if (bare ~ /;[^;]*[^; \t\r]/) many = 1
    if (!routine) return
    n = split(toupper(bare), words, /[^A-Z0-9_]+/)
    for (i = 1; i <= n; i++) {
        if (words[i] == "BEGIN" || (words[i] == "CASE" && blocks)) blocks++
        else if (words[i] == "END" && blocks) blocks--
    }
}

function put(text) {
    if (place == "main") print text
    else print text > tail
}

function emit(    i) {
    for (i = 1; i <= held; i++) put(lines[i])
}

function omit(    i) {
    for (i = 1; i <= held; i++) put("")
}

# A statement is complete: decide what becomes of it.
function finish(    text, upper) {
    open = 0
    if (streaming) { weight[into] += length($0); note(into); return }
    text = joined()
    upper = toupper(text)
    if (copies()) { start_copy(text); return }
    if (many) { keep(); return }
    if (upper ~ roles_form || upper ~ whole_form || upper ~ /^ALTER .* OWNER TO ("[^"]*"|[^ ";]+) ?;$/) { omit(); return }
    if (upper ~ /^(SET |SELECT PG_CATALOG[.]SET_CONFIG\()/) { setting(text, upper); return }
    if (upper ~ /^CREATE EXTENSION /) { extension(text, upper); return }
    if (upper ~ /^COMMENT ON EXTENSION / && !(unquoted(word(text, 4)) in available)) { omit(); return }
    if (upper ~ /^CREATE SCHEMA (IF NOT EXISTS )?("PUBLIC"|PUBLIC) ?;$/) { omit(); return }
    if (head && upper ~ /^(DROP |ALTER .* (DROP|DETACH) |CREATE OR REPLACE VIEW [^ ]+ AS SELECT NULL::|SELECT (PG_CATALOG[.])?LO_UNLINK)/) { omit(); return }
    head = 0
    if (text ~ create_form && toupper(lines[held]) !~ /PARTITION BY /) created[table_of(substr(text, index(upper, " TABLE ") + 7))] = place
    if (place == "tail") { emit(); return }
    if (text ~ key_form && upper !~ / USING INDEX /) { defer("key", 4); return }
    if (text ~ foreign_form) { defer("foreign", 4); return }
    if (text ~ index_form) { defer("index", 0, text); return }
    if (deferring && upper ~ soft_form) { print "-- line " opened "\n" raw() > (dir "/soft.sql"); omit(); return }
    keep()
}

function keep() {
    head = 0
    if (deferring && place == "main") turn_to_tail()
    emit()
}

function joined(    i, text) {
    text = lines[1]
    for (i = 2; i <= held && length(text) < 8000; i++) text = text " " lines[i]
    gsub(/[ \t\r]+/, " ", text)
    sub(/^ /, "", text)
    sub(/ $/, "", text)
    return text
}

function raw(    i, text) {
    text = lines[1]
    for (i = 2; i <= held; i++) text = text "\n" lines[i]
    return text
}

function word(text, which,    words) {
    split(text, words, " ")
    return words[which]
}

function unquoted(text) {
    gsub(/[";]/, "", text)
    return text
}

function note(what) {
    if (what == noted) return
    noted = what
    print what > (dir "/now")
    close(dir "/now")
}

# The table a text begins with, as it is written.
function table_of(text) {
    return match(text, "^" table) ? substr(text, 1, RLENGTH) : "?"
}

# Whether data follows. Of several statements in a line it is the last that says so.
function copies(    last) {
    last = toupper(code)
    sub(/;[ \t\r]*$/, "", last)
    sub(/^.*;/, "", last)
    return last ~ /^[ \t]*COPY .* FROM STDIN( |$)/
}

function start_copy(text) {
    head = 0
    if (deferring && place == "main") turn_to_tail()
    sub(/^[A-Za-z]+ /, "", text)
    copy_table = table_of(text)
    # Rows of a table made in the same transaction need not be looked at again for who may see them, which would write
    # every page once more, and to the log as well.
    if (held == 1 && created[copy_table] == place) sub(/ FROM stdin;$/, " FROM stdin WITH (FREEZE);", lines[1])
    emit()
    note(copy_table)
    copying = 1
    copied = 0
}

# A parameter the server does not know is left out; one that would change what was deferred ends the deferring.
function setting(text, upper,    id) {
    id = text
    if (upper ~ /^SELECT/) { sub(/^[^']*'/, "", id); sub(/'.*/, "", id) }
    else { sub(/^[Ss][Ee][Tt] ([Ss][Ee][Ss][Ss][Ii][Oo][Nn] |[Ll][Oo][Cc][Aa][Ll] )?/, "", id); sub(/[ =].*/, "", id) }
    id = tolower(id)
    if (!(id in known) && id !~ /[.]/ && id !~ /^(time|names)$/) { omit(); return }
    if (id == "default_tablespace" || id == "transaction_timeout") { omit(); return }
    if (deferring && place == "main") {
        if (current[id] == text) { omit(); return }
        turn_to_tail()
    }
    if (id == "standard_conforming_strings") escapes = upper ~ /OFF/
    if (!(id in current)) order[++orders] = id
    current[id] = text
    emit()
}

function preamble(    i, text) {
    for (i = 1; i <= orders; i++) text = text current[order[i]] " "
    return text
}

# Extensions belong to the superuser, not to who owns the loaded objects. Those the image has not are left out.
function extension(text, upper,    id, schema, line) {
    head = 0
    id = text
    sub(/^[A-Za-z]+ [A-Za-z]+ ([Ii][Ff] [Nn][Oo][Tt] [Ee][Xx][Ii][Ss][Tt][Ss] )?/, "", id)
    id = unquoted(word(id, 1))
    if (!(id in available)) { omit(); print id > (dir "/left-out"); return }
    if (match(upper, / SCHEMA /)) schema = unquoted(word(substr(text, RSTART + 8), 1))
    line = "CREATE EXTENSION IF NOT EXISTS \"" id "\"" (schema ? " SCHEMA \"" schema "\"" : "") " CASCADE;"
    # Those made beforehand are in public.
    if (schema && schema != "public" && schema != "pg_catalog") line = "DROP EXTENSION IF EXISTS \"" id "\"; " line
    omit_but_last("SET ROLE postgres; " line " RESET ROLE;")
}

function omit_but_last(line) {
    held--
    omit()
    put(line)
}

function turn_to_tail() {
    place = "tail"
    print opened > (dir "/tail.line")
    print preamble() > tail
}

function defer(kind, position, text,    id) {
    id = joined()
    if (position) sub(/^ALTER TABLE ONLY /, "", id)
    else { match(id, / ON (ONLY )?/); id = substr(id, RSTART + RLENGTH) }
    id = table_of(id)
    if (!deferring) { deferring = 1; print preamble() > (dir "/preamble") }
    deferred(kind, id, "-- line " opened "\n" raw())
    omit()
}

# psql's own commands: those of pg_dump and psql's switch to the database are not needed, others might do anything.
function meta(text) {
    put("")
    if (text !~ /^\\(restrict|unrestrict|connect|c|encoding|echo|pset|timing|set ON_ERROR_STOP|set ECHO|set QUIET)([ \t\r]|$)/)
        give_up("line " NR " has the psql command " word(text, 1) ", which a dump does not need and which is not run")
}

function give_up(reason) {
    print reason > (dir "/refused")
    refused = 1
    exit 1
}

END {
    if (refused) exit 1
    if (copying) give_up("it ends in the middle of the data of table " copy_table)
    if (open) give_up("it ends in the middle of the statement that begins in line " open)
    if (pg_dump && !complete) give_up("it ends in line " NR ", before the end pg_dump marks: it is truncated")
    write_batches()
}
