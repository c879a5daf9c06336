#!/bin/bash
# Health check: one line, when the last backup was, or what is wrong with the backups.
set -u

data=/var/tmp
run=/tmp

unhealthy() {
    echo "$*"
    exit 1
}

value() { sed -n "s/^$2=//p" "$data/$1" 2>/dev/null; }

# A moment of epoch seconds as people read it.
moment() { date -u -d "@$1" '+%Y-%m-%d %H:%M UTC'; }

[[ -f $run/started ]] || unhealthy 'the repository is being opened'
[[ ! -s $run/problem ]] || unhealthy "$(cat "$run/problem")"
if [[ -f $data/running ]]; then
    flock -n "$data/lock" true && unhealthy "the backup of $(moment "$(value running at)") was killed. Try again: dhis2-cluster backup"
    echo "a backup is running since $(moment "$(value running at)")"
    exit 0
fi
[[ ! -f $data/last-failure ]] ||
    unhealthy "the backup of $(moment "$(value last-failure at)") failed: $(value last-failure reason). Try again: dhis2-cluster backup"
at=$(value last-backup at)
since=${at:-$(value schedule since)}
if [[ -n $SCHEDULE ]] && (($(date +%s) - since > MAX_AGE_SECONDS)); then
    last=never
    [[ -z $at ]] || last=$(moment "$at")
    unhealthy "a backup is overdue: the last one was made $last, and backupSchedule is $SCHEDULE (UTC). Try now: dhis2-cluster backup"
fi
if [[ -z $at ]]; then
    echo 'no backup yet'
else
    echo "last backup $(moment "$at"), backup $(value last-backup set); last check $(moment "$(cat "$data/last-check" 2>/dev/null || echo "$at")")"
fi
