# Functions of plain-filter.awk: the form of SQL, and whether an object can be restored. The last ones are archive-filter.awk's, too.

# Follow a line: `code` is what is outside of quotes and comments, `quote` what is open at its end, `escapes` in a string
# with backslashes.
function follow(rest,    at, end) {
    for (code = ""; ; quote = "") {
        if (quote == "") {
            if (!match(rest, /['"]|--|\/\*|\$([A-Za-z_][A-Za-z0-9_]*)?\$/)) { code = code rest; return }
            code = code substr(rest, 1, RSTART - 1); quote = substr(rest, RSTART, RLENGTH); rest = substr(rest, RSTART + RLENGTH)
            if (quote == "--") { quote = ""; return }
            escapes = quote == "'" && code ~ /(^|[^A-Za-z0-9_])[eE]$/
        }
        while (escapes && match(rest, /^[^'\\]*(\\.|'')/)) rest = substr(rest, RLENGTH + 1)
        end = quote == "/*" ? "*/" : quote
        if (!(at = index(rest, end))) return
        rest = substr(rest, at + length(end))
    }
}

# The name behind a part of the line, with its schema if it has one.
function name_after(before,    rest) {
    rest = substr($0, index($0, before) + length(before))
    return match(rest, /^(("[^"]*")+|[^ ".(,;']+)([.](("[^"]*")+|[^ ".(,;']+))?/) ? substr(rest, 1, RLENGTH) : rest
}

# The schema of a name, without quotes; empty without one.
function schema_of(id) {
    if (!match(id, /^(("[^"]*")+|[^".]+)[.]/)) return ""
    return unquoted(substr(id, 1, RLENGTH - 1))
}

function unquoted(id) { if (gsub(/^"|"$/, "", id)) gsub(/""/, "\"", id); return id }

# A table that neither the dump nor an extension creates belongs to a missing extension, and so do its rows.
function check_relation(id) { if (missing && id ~ /[.]/ && !(id in relation)) leave_out(id) }
function check_rows(id) {
    if (!creating && !missing && !(id in relation) && !(("public." id) in relation)) refuse_rows(id)
    check_relation(id)
}

# So does what is in a schema that neither creates, and a foreign server of a wrapper that is missing, with its tables.
function check_schema(id, what) { if (schema_of(id) != "" && !(schema_of(id) in schema)) leave_out(what) }
function check_object(kind,    id) {
    id = name_after(kind)
    if (missing) check_schema(id, id)
    if (!left_out && toupper(kind) !~ / (FUNCTION|PROCEDURE|TYPE) /) relation[id] = 1
    held = missing_servers && toupper(kind) ~ /FOREIGN TABLE/ ? id : ""
}
function check_server(fdw) {
    if (fdw in wrapper) return
    missing_server[name_after("SERVER ")] = ++missing_servers
    leave_out("SERVER " name_after("SERVER "))
}
function release(    server) {
    if (match(lines, /\nSERVER [^ ;\r\n]+/)) server = substr(lines, RSTART + 8, RLENGTH - 8)
    if (server in missing_server) { delete relation[held]; leave_out("FOREIGN TABLE " held); gsub(/[^\n]/, "", lines) }
    printf "%s", lines
    lines = held = ""
}

# What a dump sets for its database is set for this one, where it is about what statements mean.
function check_setting(line, what) {
    if (line ~ /^ALTER DATABASE / && match(line, meaning)) print "ALTER DATABASE dhis " substr($0, RSTART) > (dir "/database-settings")
    else leave_out(what)
    left_out = 1
}
function check_parameter(line,    id) {
    id = line; sub(/^(set |select pg_catalog[.]set_config\(')/, "", id); sub(/[ '].*/, "", id)
    left_out = !(id in known) || id == "default_tablespace" || id == "client_encoding" && line ~ /sql_ascii/ \
        || id == "default_table_access_method" && line !~ /heap/
}
function leave_out(what) { left_out = 1; if (what != last) print last = what > (dir "/left-out") }
function refuse_rows(id) { refuse("it has rows of the table " id ", but does not create it (pg_dump --data-only)") }
function refuse(reason) { print reason > (dir "/refused"); refused = 1; exit 1 }
function read(file, set,    line, n) { while ((getline line < (dir "/" file)) > 0) set[line] = ++n; return n }
