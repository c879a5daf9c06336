package dhis2simulator.database;

import com.zaxxer.hikari.HikariConfig;
import dhis2simulator.conf.DhisConf;
import dhis2simulator.conf.Release;
import java.util.concurrent.TimeUnit;

/**
 * How a pool behaves: like DHIS2's Hikari pool, the default from 2.43 on, or like its c3p0 pool, the default before.
 *
 * <p>Hikari connects when it is made, so a dead server stops the boot, and gives up after `connection.pool.timeout`;
 * its connections are replaced after `max_lifetime_seconds`. c3p0 is made without a server, gives up soon, and keeps
 * connections that are used for as long as they work, unless its system property `c3p0.maxConnectionAge` ends them.
 */
record PoolSettings(DhisConf conf, Release release) {
    private static final String PREFIX = "connection.pool.";
    private static final int LARGEST = 80;
    private static final int C3P0_GIVES_UP_MILLISECONDS = 3_000;
    private static final int C3P0_IDLE_SECONDS = 7_200;
    private static final int HIKARI_AGE_SECONDS = 1_800;
    private static final long SHORTEST_CONFIGURED_AGE = 30_000;
    private static final long DO_NOT_WAIT_FOR_SERVER = -1;

    boolean hikari() {
        return conf.get("db.pool.type", release.hikariByDefault() ? "hikari" : "c3p0").equals("hikari");
    }

    HikariConfig pool(String name, String url, String user, String password) {
        HikariConfig config = new HikariConfig();
        config.setPoolName(name);
        config.setDriverClassName("org.postgresql.Driver");
        config.setJdbcUrl(url);
        config.setUsername(user);
        config.setPassword(password);
        config.addDataSourceProperty("ApplicationName", "dhis2-simulator");
        int largest = conf.number(PREFIX + "max_size", LARGEST);
        config.setMaximumPoolSize(largest);
        // Hikari takes less than this for a mistake and goes back to half an hour; a running pool takes it.
        config.setMaxLifetime(ageMilliseconds() == 0 ? 0 : Math.max(SHORTEST_CONFIGURED_AGE, ageMilliseconds()));
        if (hikari()) {
            config.setConnectionTimeout(conf.number(PREFIX + "timeout", 30_000));
            config.setValidationTimeout(conf.number(PREFIX + "validation_timeout", 5_000));
            if (release.hikariByDefault()) {
                // Keys that came with the line in which Hikari became the default.
                config.setMinimumIdle(Math.min(largest, conf.number(PREFIX + "min_idle", 10)));
                config.setIdleTimeout(milliseconds("max_idle_time", 600));
                config.setKeepaliveTime(milliseconds("keep_alive_time_seconds", 120));
            }
        } else {
            config.setConnectionTimeout(C3P0_GIVES_UP_MILLISECONDS);
            config.setMinimumIdle(0);
            config.setIdleTimeout(milliseconds("max_idle_time", C3P0_IDLE_SECONDS));
        }
        return config;
    }

    /** How old a connection may become; 0 where it may live on. */
    long ageMilliseconds() {
        int seconds;
        if (hikari()) {
            seconds = release.hikariByDefault() ? conf.number(PREFIX + "max_lifetime_seconds", HIKARI_AGE_SECONDS)
                    : HIKARI_AGE_SECONDS;
        } else {
            seconds = Integer.getInteger("c3p0.maxConnectionAge", 0);
        }
        return TimeUnit.SECONDS.toMillis(seconds) / conf.number("simulator.pool.age.divisor", 1);
    }

    /** A pool that may be made while its server is down. */
    HikariConfig patient(HikariConfig config) {
        config.setInitializationFailTimeout(DO_NOT_WAIT_FOR_SERVER);
        return config;
    }

    private long milliseconds(String key, int seconds) {
        return TimeUnit.SECONDS.toMillis(conf.number(PREFIX + key, seconds));
    }
}
