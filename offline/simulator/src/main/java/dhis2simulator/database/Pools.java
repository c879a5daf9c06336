package dhis2simulator.database;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dhis2simulator.conf.DhisConf;
import dhis2simulator.conf.Release;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
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
    private static final long DO_NOT_WAIT_FOR_SERVER = -1;
    private final DhisConf conf;
    private final HikariDataSource primary;
    private final List<HikariDataSource> replicas = new ArrayList<>();
    private final RoundRobin<HikariDataSource> readers;

    /** Opens the pools; throws a RuntimeException where the primary, or from 2.43 on a replica, does not answer. */
    public Pools(DhisConf conf, Release release) {
        this.conf = conf;
        String user = conf.require("connection.username");
        String password = conf.get("connection.password", "");
        primary = open("primary", conf.require("connection.url"), user, password, true);
        try {
            for (int number = 1; number <= MOST_REPLICAS; number++) {
                String key = "read" + number + ".connection.";
                String url = conf.get(key + "url", "");
                if (!url.isEmpty()) {
                    LOG.info("Reads go to {}url: {}", key, withoutParameters(url));
                    replicas.add(open("read" + number, url, conf.get(key + "username", user),
                            conf.get(key + "password", password), release.needsReplicaAtBoot()));
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

    private HikariDataSource open(String name, String url, String user, String password, boolean now) {
        HikariConfig config = new HikariConfig();
        config.setPoolName(name);
        config.setDriverClassName("org.postgresql.Driver");
        config.setJdbcUrl(url);
        config.setUsername(user);
        config.setPassword(password);
        config.addDataSourceProperty("ApplicationName", "dhis2-simulator");
        int largest = conf.number("connection.pool.max_size", 80);
        config.setMaximumPoolSize(largest);
        config.setMinimumIdle(Math.min(largest, conf.number("connection.pool.min_idle", 10)));
        config.setConnectionTimeout(conf.number("connection.pool.timeout", 30_000));
        config.setValidationTimeout(conf.number("connection.pool.validation_timeout", 5_000));
        config.setMaxLifetime(seconds("connection.pool.max_lifetime_seconds", 1_800));
        config.setIdleTimeout(seconds("connection.pool.max_idle_time", 600));
        config.setKeepaliveTime(seconds("connection.pool.keep_alive_time_seconds", 120));
        if (!now) {
            config.setInitializationFailTimeout(DO_NOT_WAIT_FOR_SERVER);
        }
        HikariDataSource opened = new HikariDataSource(config);
        if (!now) {
            complainUnlessReachable(name, opened);
        }
        return opened;
    }

    private static void complainUnlessReachable(String name, HikariDataSource source) {
        try {
            new Sql(source).value("select 1");
        } catch (java.sql.SQLException error) {
            LOG.warn("The {} connection does not work, going on without: {}", name, error.getMessage());
        }
    }

    private long seconds(String key, int otherwise) {
        return TimeUnit.SECONDS.toMillis(conf.number(key, otherwise));
    }

    private static String withoutParameters(String url) {
        return url.replaceFirst("\\?.*", "");
    }
}
