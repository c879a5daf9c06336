#!/bin/bash
# DHIS2's analytics tables, which dashboards read, are built once after a restore, by a job of DHIS2 in the background. The
# marker of the restore has where that stands: analytics=due|running|done|failed. Sourced by database.sh, and run in its
# container:
#   analytics.sh                           prints it
#   analytics.sh start HOST PORT PASSWORD  asks a core for the job; PASSWORD names the one of admin: setting, generated, default
set -Eeuo pipefail
umask 077

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    # shellcheck source=components/database/files/environment.sh
    source /opt/dhis2-cluster/environment.sh
    # shellcheck source=components/database/files/passwords.sh
    source "$home/passwords.sh"
    find_binaries
fi

: "${home:?}" "${secrets:?}" "${restored:?}"
longest_seconds=86400 # after a day DHIS2 removes the record of a job

# Print where it stands in a database that was just restored from a dump: nothing for a blank one. A backup has the rows of
# analytics tables only where that was asked for.
analytics_of() {
    local rows='' built="SELECT EXISTS (SELECT FROM pg_class WHERE relkind = 'r' AND relname LIKE 'analytics\_%' AND pg_relation_size(oid) > 0)"
    [[ -z ${restored_set:-} ]] || rows=$(sql dhis -c "$built")
    if [[ $rows == t ]]; then
        echo 'done'
    elif [[ $1 != /dumps/none ]]; then
        echo due
    fi
}

# Ask a core for the job. Prints the DHIS2 id of the job; what DHIS2 answers instead where it refuses.
start_analytics() {
    local core=$1 port=$2 response status job before
    before=$(app_sql -c "SELECT md5(coalesce(max(to_jsonb(setting) ->> 'value'), '')) FROM public.systemsetting setting
        WHERE name = 'keyLastSuccessfulAnalyticsTablesUpdate'")
    response=$(request POST /api/resourceTables/analytics admin <(admin_password "$3"))
    status=$(http_status "$response")
    job=$(sed -n 's|.*/api/system/tasks/ANALYTICS_TABLE/\([A-Za-z0-9]\{11\}\).*|\1|p' <<<"$response" | head -n 1)
    if [[ $status != 200 || -z $job ]]; then
        response=$(sed -n 's/.*"message" *: *"\([^"]*\)".*/\1/p' <<<"$response" | head -n 1)
        echo "${response:-$core answered ${status:-nothing}}"
        return 1
    fi
    change_marker analytics=running "analytics_job=$job" "analytics_started=$(date +%s)" "analytics_before=$before" analytics_reason=
    echo "$job"
}

# Record how the job ended, once it has; one that failed may have been repeated by a person since.
record_analytics() {
    local state ended started
    state=$(marker_value "$restored" analytics)
    [[ $state == running || $state == failed ]] || return 0
    ended=$(app_sql -v job="$(marker_value "$restored" analytics_job)" -v before="$(marker_value "$restored" analytics_before)" \
        -f "$home/analytics-job.sql")
    started=$(marker_value "$restored" analytics_started)
    [[ -n $ended ]] || (($(date +%s) - started < longest_seconds)) || ended='failed DHIS2 has not reported its end within a day'
    case $state:$ended in
    *:done)
        change_marker analytics=done
        log 'the analytics tables are built'
        ;;
    running:failed*)
        change_marker analytics=failed "analytics_reason=${ended#failed }"
        log "DHIS2's analytics job failed: ${ended#failed }"
        ;;
    esac
}

# Print where it stands.
show_analytics() {
    local state started
    state=$(marker_value "$restored" analytics)
    started=$(marker_value "$restored" analytics_started)
    case $state in
    running) echo "running for $((($(date +%s) - started) / 60)) minutes (job $(marker_value "$restored" analytics_job))" ;;
    failed) echo "failed: $(marker_value "$restored" analytics_reason)" ;;
    due) echo 'due: pulumi up starts it, unless the setting analytics is false' ;;
    *) echo "${state:-nothing was restored}" ;;
    esac
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    case ${1:-} in
    start) start_analytics "$2" "$3" "$4" ;;
    *) record_analytics 2>/dev/null && show_analytics ;;
    esac
fi
