package dhis2simulator.database;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dhis2simulator.conf.DhisConf;
import dhis2simulator.conf.Release;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The connection pools: one for the primary, one for each `readN` of dhis.conf.
 *
 * <p>Reads take turns among the replicas. There is no failover: a dead replica fails its share of them.
 */
public final class Pools implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Pools.class);
    private static final int MOST_REPLICAS = 5;
    private final PoolSettings settings;
    private final HikariDataSource primary;
    private final List<HikariDataSource> replicas = new ArrayList<>();
    private final RoundRobin<HikariDataSource> readers;

    /** Opens the pools; throws a RuntimeException where the primary, or from 2.43 on a replica, does not answer. */
    public Pools(DhisConf conf, Release release) {
        settings = new PoolSettings(conf, release);
        String user = conf.require("connection.username");
        String password = conf.get("connection.password", "");
        primary = open(settings.pool("primary", conf.require("connection.url"), user, password));
        try {
            for (int number = 1; number <= MOST_REPLICAS; number++) {
                String key = "read" + number + ".connection.";
                String url = conf.get(key + "url", "");
                if (!url.isEmpty()) {
                    LOG.info("Reads go to {}url: {}", key, withoutParameters(url));
                    replicas.add(replica("read" + number, url, conf.get(key + "username", user),
                            conf.get(key + "password", password)));
                }
            }
        } catch (RuntimeException error) {
            close();
            throw error;
        }
        LOG.info("Read replicas found: {}", replicas.size());
        readers = new RoundRobin<>(replicas.isEmpty() ? List.of(primary) : replicas);
    }

    /** Where everything is written, and metadata read. */
    public Sql primary() {
        return new Sql(primary);
    }

    /** Where this read goes: each call takes the next replica, or the primary where there is none. */
    public Sql reader() {
        return new Sql(readers.next());
    }

    /** The primary's pool as such. */
    public DataSource primarySource() {
        return primary;
    }

    /** How many `readN` there are. */
    public int replicaCount() {
        return replicas.size();
    }

    @Override
    public void close() {
        replicas.forEach(HikariDataSource::close);
        primary.close();
    }

    private HikariDataSource replica(String name, String url, String user, String password) {
        if (settings.hikari()) {
            return open(settings.pool(name, url, user, password));
        }
        HikariDataSource opened = open(settings.patient(settings.pool(name, url, user, password)));
        complainUnlessReachable(name, opened);
        return opened;
    }

    private HikariDataSource open(HikariConfig config) {
        var opened = new HikariDataSource(config);
        opened.setMaxLifetime(settings.ageMilliseconds());
        return opened;
    }

    private static void complainUnlessReachable(String name, HikariDataSource source) {
        try {
            new Sql(source).value("select 1");
        } catch (SQLException error) {
            LOG.warn("The {} connection does not work, going on without: {}", name, error.getMessage());
        }
    }

    private static String withoutParameters(String url) {
        return url.replaceFirst("\\?.*", "");
    }
}
