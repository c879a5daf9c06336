package dhis2simulator.jobs;

import dhis2simulator.Node;
import dhis2simulator.database.Sql;
import java.sql.SQLException;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs, on the leader, jobs that wait in jobconfiguration to be run once; others are left alone.
 *
 * <p>DHIS2 looks every 20 s, the simulator more often, so that tests need not wait.
 */
public final class Scheduler implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Scheduler.class);
    private static final long EVERY_SECONDS = 2;
    private static final int LONGEST_MESSAGE = 500;
    private final Node node;
    private final ScheduledExecutorService loop = Executors.newSingleThreadScheduledExecutor(task -> {
        Thread thread = new Thread(task, "scheduler");
        thread.setDaemon(true);
        return thread;
    });

    /** The jobs of a node. */
    public Scheduler(Node node) {
        this.node = node;
    }

    /** Begins looking. */
    public void start() {
        loop.scheduleWithFixedDelay(this::look, 0, EVERY_SECONDS, TimeUnit.SECONDS);
    }

    @Override
    public void close() {
        loop.shutdownNow();
    }

    private void look() {
        try {
            if (node.leadership().renew()) {
                runDue();
            }
        } catch (SQLException | RuntimeException error) {
            LOG.warn("Jobs cannot be looked at now: {}", error.getMessage());
        }
    }

    private void runDue() throws SQLException {
        Sql primary = node.pools().primary();
        Map<String, Object> job = primary.first("update jobconfiguration set jobstatus = 'RUNNING',"
                + " lastexecutedstatus = 'RUNNING', lastexecuted = now(), lastalive = now() where jobconfigurationid ="
                + " (select jobconfigurationid from jobconfiguration where jobtype = 'ANALYTICS_TABLE' and enabled"
                + " and schedulingtype = 'ONCE_ASAP' and lastexecutedstatus = 'NOT_STARTED'"
                + " order by jobconfigurationid limit 1 for update skip locked) returning uid, name");
        if (job == null) {
            return;
        }
        LOG.info("Job started: {}", job.get("name"));
        String status = "COMPLETED";
        String message = null;
        try {
            new AnalyticsTables(node).build();
        } catch (SQLException | RuntimeException error) {
            LOG.error("Job failed: {}", job.get("name"), error);
            status = "FAILED";
            message = shortened(error);
        }
        primary.update("update jobconfiguration set jobstatus = 'SCHEDULED', enabled = false, lastexecutedstatus = ?,"
                + " lastfinished = now(), errorcodes = ? where uid = ?", status, message, job.get("uid"));
        LOG.info("Job {}: {}", status.toLowerCase(java.util.Locale.ROOT), job.get("name"));
    }

    private static String shortened(Exception error) {
        String text = error instanceof SQLException sql ? sql.getSQLState() + " " + sql.getMessage()
                : String.valueOf(error.getMessage());
        return text.substring(0, Math.min(text.length(), LONGEST_MESSAGE));
    }
}
