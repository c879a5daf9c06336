# Filter of an archive's list (pg_restore -l), read twice: it leaves out what cannot be restored here. A line is
# `id; catalogue's oid, object's oid, kind, schema, name, owner`. Works on bytes: run it with LC_ALL=C, after
# statements.awk.
#
# Reads in `dir`: relations, schemas, missing-extensions. Writes there: left-out, refused.
BEGIN {
    while ((getline line < (dir "/relations")) > 0) { sub(/[.]/, " ", line); gsub(/"/, "", line); relation[line] = 1 }
    while ((getline line < (dir "/schemas")) > 0) schema[line] = existing[line] = 1
    missing = (getline line < (dir "/missing-extensions")) > 0
    # Extensions exist by now; roles, grants and whole databases are this server's own.
    own = "^(EXTENSION|COMMENT - EXTENSION|ACL|DEFAULT ACL|DATABASE|DATABASE PROPERTIES|COMMENT - DATABASE|SECURITY LABEL" \
        "|PROCEDURAL LANGUAGE - plpgsql) "
    superuser = "^(COMMENT - )?(EVENT TRIGGER|PUBLICATION|PUBLICATION TABLE|PUBLICATION TABLES IN SCHEMA|SUBSCRIPTION|USER MAPPING) "
}

!/^[0-9]/ { next }
{
    entry = $0
    sub(/^[0-9]+; [0-9]+ [0-9]+ /, "", entry)
    id = entry # schema, name, owner
    sub(/^[A-Z ]+ /, "", id)
}
NR == FNR {
    if (entry ~ /^SCHEMA - /) schema[name_of(entry, "SCHEMA - ")] = 1
    if (entry ~ /^(FOREIGN TABLE|TABLE|SEQUENCE) / && entry !~ /^(TABLE (DATA|ATTACH)|SEQUENCE (SET|OWNED BY)) /) relation[id] = 1
    next
}
entry ~ own { next }
entry ~ superuser { leave_out(entry); next }
entry ~ /^SCHEMA - / && name_of(entry, "SCHEMA - ") in existing { next }
# A table or sequence that neither the dump nor an extension creates belongs to a missing extension, and so do its rows.
entry ~ /^(TABLE DATA|SEQUENCE SET) / && !(id in relation) && !(name_of(id, "") in relation) {
    if (missing) { leave_out(name_of(id, "")); next }
    if (entry ~ /^TABLE/) refuse_rows(name_of(id, ""))
}
missing && id !~ /^- / && !(substr(id, 1, index(id, " ") - 1) in schema) { leave_out(entry); next }
{ print }

# The entry without its kind and its owner, the last word.
function name_of(text, kind) { text = substr(text, length(kind) + 1); sub(/ [^ ]*$/, "", text); return text }
