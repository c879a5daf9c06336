package dhis2simulator.web;

import dhis2simulator.Node;
import dhis2simulator.database.Uid;
import java.io.IOException;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Asking for jobs, which the leader runs, and looking at them. */
final class JobsApi {
    private static final int OK = 200;
    private static final int NOT_FOUND = 404;
    private static final String COLUMNS = "select uid as id, name, name as \"displayName\", jobtype as \"jobType\","
            + " jobstatus as \"jobStatus\", lastexecutedstatus as \"lastExecutedStatus\", enabled,"
            + " lastexecuted::text as \"lastExecuted\", lastfinished::text as \"lastFinished\","
            + " schedulingtype as \"schedulingType\", errorcodes as \"errorCodes\" from jobconfiguration";
    private final Node node;

    JobsApi(Node node) {
        this.node = node;
    }

    void routes(Router router) {
        router.add("POST", "/api/resourceTables/analytics", this::analytics)
                .add("PUT", "/api/resourceTables/analytics", this::analytics)
                .add("GET", "/api/jobConfigurations", this::list)
                .add("GET", "/api/jobConfigurations/{uid}", this::show)
                .add("GET", "/api/system/tasks/ANALYTICS_TABLE/{uid}", this::tasks);
    }

    private void analytics(Exchange exchange) throws SQLException, IOException {
        String uid = Uid.fresh();
        node.pools().primary().update("insert into jobconfiguration (jobconfigurationid, uid, created, lastupdated,"
                + " name, enabled, jobtype, jobstatus, lastexecutedstatus, schedulingtype, cancel, executedby)"
                + " values (nextval('hibernate_sequence'), ?, now(), now(), ?, true, 'ANALYTICS_TABLE', 'SCHEDULED',"
                + " 'NOT_STARTED', 'ONCE_ASAP', false, ?)", uid, "inMemoryAnalyticsJob_" + uid, exchange.login().uid());
        exchange.json(OK, Map.of("httpStatus", "OK", "httpStatusCode", OK, "status", "OK",
                "message", "Initiated inMemoryAnalyticsJob",
                "response", Map.of("id", uid, "jobType", "ANALYTICS_TABLE", "jobStatus", "SCHEDULED",
                        "relativeNotifierEndpoint", "/api/system/tasks/ANALYTICS_TABLE/" + uid)));
    }

    /** What a job has reported, the newest first; nothing before its start. */
    private void tasks(Exchange exchange) throws SQLException, IOException {
        Map<String, Object> job = node.pools().primary().first(COLUMNS + " where uid = ?", exchange.path().get("uid"));
        List<Map<String, Object>> reported = new ArrayList<>();
        if (job != null && job.get("lastExecuted") != null) {
            reported.add(notification(job.get("lastExecuted"), "INFO", "Analytics table update process started", false));
            if ("COMPLETED".equals(job.get("lastExecutedStatus"))) {
                reported.add(0, notification(job.get("lastFinished"), "INFO", "Analytics tables updated", true));
            } else if ("FAILED".equals(job.get("lastExecutedStatus"))) {
                reported.add(0, notification(job.get("lastFinished"), "ERROR", job.get("errorCodes"), true));
            }
        }
        exchange.json(OK, reported);
    }

    private static Map<String, Object> notification(Object time, String level, Object message, boolean completed) {
        String id = Integer.toHexString(Objects.hash(time, level, message));
        return Map.of("id", id, "uid", id, "level", level, "category", "ANALYTICS_TABLE", "time", time,
                "message", String.valueOf(message), "completed", completed);
    }

    private void list(Exchange exchange) throws SQLException, IOException {
        List<Map<String, Object>> jobs = node.pools().primary().rows(COLUMNS + " order by jobconfigurationid");
        exchange.json(OK, Map.of("jobConfigurations", jobs));
    }

    private void show(Exchange exchange) throws SQLException, IOException {
        Map<String, Object> job = node.pools().primary().first(COLUMNS + " where uid = ?", exchange.path().get("uid"));
        if (job == null) {
            throw new ApiError(NOT_FOUND, "There is no such job");
        }
        exchange.json(OK, job);
    }
}
