# Second half of split.awk: what may be done in parallel, as files of statements for psql, most work first.
#
#   keys/NNNN.sql      primary, unique and check constraints, then indexes: those of a table together, keys lock it
#   indexes/NNNN.sql   indexes of tables that are more work than one job's share: one by one
#   foreign.sql        foreign keys, added without looking at the rows: quick, one after the other
#   validate/NNNN.sql  the look at the rows: locks nothing another of these needs
#
# How much work a statement is, is told by the bytes of its table's data. Given: jobs, how many run at a time.

function deferred(kind, id, statement,    constraint) {
    if (kind == "index") { indexes++; index_table[indexes] = id; index_text[indexes] = statement; work[id]++; return }
    if (kind == "key") { add("keys", id, id, statement); work[id]++; return }
    if (statement ~ /NOT VALID[ \n]*;/) { print statement > (dir "/foreign.sql"); return }
    constraint = joined()
    match(constraint, / ADD CONSTRAINT /)
    constraint = substr(constraint, RSTART + RLENGTH)
    match(constraint, "^" name)
    constraint = substr(constraint, 1, RLENGTH)
    sub(/;[ \t\r]*$/, " NOT VALID;", statement)
    print statement > (dir "/foreign.sql")
    add("validate", id, id, "-- line " opened "\nALTER TABLE ONLY " id " VALIDATE CONSTRAINT " constraint ";")
}

# One more statement for a unit of a phase: what must be done one after the other.
function add(phase, unit, id, statement,    at) {
    at = phase SUBSEP unit
    if (!(at in unit_text)) {
        units[phase]++
        unit_of[phase, units[phase]] = at
        unit_table[at] = id
    }
    unit_text[at] = unit_text[at] statement "\n\\echo done\n"
    unit_size[at]++
    total[phase]++
}

function write_batches(    id, all, i) {
    for (id in work) all += work[id] * weight[id]
    for (i = 1; i <= indexes; i++) {
        id = index_table[i]
        # More than a job's share.
        if (work[id] * weight[id] * jobs > all) add("indexes", id "/" i, id, index_text[i])
        else add("keys", id, id, index_text[i])
    }
    write_phase("keys")
    write_phase("indexes")
    write_phase("validate")
}

# Units of big tables get a file each, the biggest first; the small ones share files.
function write_phase(phase,    i, j, at, big, files, bigs, size, text) {
    print total[phase] + 0 > (dir "/" phase ".total")
    for (i = 1; i <= units[phase]; i++) {
        at = unit_of[phase, i]
        if (weight[unit_table[at]] < 4000000) continue
        for (j = ++bigs; j > 1 && weight[unit_table[big[j - 1]]] < weight[unit_table[at]]; j--) big[j] = big[j - 1]
        big[j] = at
    }
    for (i = 1; i <= bigs; i++) write_batch(phase, ++files, unit_text[big[i]])
    for (i = 1; i <= units[phase]; i++) {
        at = unit_of[phase, i]
        if (weight[unit_table[at]] >= 4000000) continue
        text = text unit_text[at]
        size += unit_size[at]
        if (size >= 60) { write_batch(phase, ++files, text); text = ""; size = 0 }
    }
    if (size) write_batch(phase, ++files, text)
}

function write_batch(phase, number, text,    file) {
    file = sprintf("%s/%s/%04d.sql", dir, phase, number)
    printf "%s", preamble_at_defer() "\n" text > file
    close(file)
}

# The settings at the time of the first deferred statement; later ones that differ went to the tail.
function preamble_at_defer(    i, text) {
    if (!(first_read)) { first_read = 1; close(dir "/preamble"); while ((getline text < (dir "/preamble")) > 0) first = first text }
    return first
}
