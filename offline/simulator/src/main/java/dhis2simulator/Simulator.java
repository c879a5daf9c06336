package dhis2simulator;

import dhis2simulator.apps.Apps;
import dhis2simulator.cache.Invalidation;
import dhis2simulator.cache.MetadataCache;
import dhis2simulator.cache.SystemSettings;
import dhis2simulator.conf.DhisConf;
import dhis2simulator.conf.Home;
import dhis2simulator.conf.Release;
import dhis2simulator.database.Extensions;
import dhis2simulator.database.Pools;
import dhis2simulator.files.FileStore;
import dhis2simulator.jobs.Leadership;
import dhis2simulator.jobs.Scheduler;
import dhis2simulator.migration.Migrations;
import dhis2simulator.migration.StartupRoutines;
import dhis2simulator.session.Redis;
import dhis2simulator.session.Sessions;
import dhis2simulator.web.WebSetup;
import jakarta.servlet.ServletContext;
import jakarta.servlet.ServletContextEvent;
import jakarta.servlet.ServletContextListener;
import java.io.IOException;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Boots the simulator in DHIS2's order: configuration, database, extensions, migrations, cache, jobs, web.
 *
 * <p>Whatever fails, the web application does not start, and Tomcat lives on answering 404, as with DHIS2.
 */
public final class Simulator implements ServletContextListener {
    private static final Logger LOG = LoggerFactory.getLogger(Simulator.class);
    private static final String VERSION = "DHIS2_SIMULATOR_VERSION";
    private static final String NEWEST = "2.43.1";
    private final Deque<AutoCloseable> opened = new ArrayDeque<>();

    @Override
    public void contextInitialized(ServletContextEvent event) {
        try {
            boot(event.getServletContext());
        } catch (Exception error) {
            close();
            LOG.error("The web application does not start: {}", reasons(error));
            LOG.debug("Reason", error);
            throw new IllegalStateException("The web application does not start", error);
        }
    }

    @Override
    public void contextDestroyed(ServletContextEvent event) {
        close();
    }

    private void boot(ServletContext context) throws SQLException, IOException, InterruptedException {
        long started = System.nanoTime();
        Release release = Release.of(System.getenv().getOrDefault(VERSION, NEWEST));
        LOG.info("DHIS2 simulator {} is starting. It is a test double, not DHIS2", release);
        Path home = Home.find();
        DhisConf conf = DhisConf.of(home);
        conf.warnings().forEach(LOG::warn);
        Thread.sleep(TimeUnit.SECONDS.toMillis(conf.number("simulator.boot.seconds", 0)));
        FileStore files = keep(FileStore.of(conf, home));
        Pools pools = keep(new Pools(conf, release));
        Extensions.check(pools.primary());
        Migrations.run(pools.primary(), conf, release);
        boolean readOnly = conf.isOn("system.read_only_mode", false);
        Redis redis = Redis.wanted(conf) ? keep(new Redis(conf)) : null;
        String uuid = UUID.randomUUID().toString();
        MetadataCache cache = new MetadataCache();
        if (redis != null && conf.isOn("redis.cache.invalidation.enabled", false) && !readOnly) {
            keep(new Invalidation(redis, cache, uuid));
        }
        boolean clustered = conf.isOn("redis.enabled", false);
        String id = conf.get("node.id", "");
        var leadership = new Leadership(clustered ? redis : null, id, uuid, conf.isOn("node.primary_leader", false));
        var settings = new SystemSettings(pools.primary(), release, clustered ? redis : null);
        Sessions sessions = keep(Sessions.install(context, conf, clustered ? redis : null));
        Apps apps = new Apps(files, release, clustered ? redis : null);
        Node node = new Node(release, conf, files, pools, cache, settings, sessions, leadership, apps, id, uuid);
        // Last, as in DHIS2: for a while others see a migrated database without DHIS2's first rows.
        if (readOnly) {
            LOG.info("Startup routines are skipped: system.read_only_mode is on");
        } else {
            StartupRoutines.run(pools.primary(), conf);
            keep(new Scheduler(node)).start();
        }
        WebSetup.install(context, node);
        LOG.info("DHIS2 simulator {} is ready after {} ms", release,
                TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - started));
    }

    private <T extends AutoCloseable> T keep(T one) {
        opened.push(one);
        return one;
    }

    private void close() {
        while (!opened.isEmpty()) {
            try {
                opened.pop().close();
            } catch (Exception error) {
                LOG.debug("Closing failed", error);
            }
        }
    }

    private static String reasons(Throwable error) {
        Throwable cause = error.getCause();
        String text = String.valueOf(error.getMessage()).replaceAll("\\s*\\R\\s*", "; ");
        return cause == null ? text : text + "; " + reasons(cause);
    }
}
