package dhis2simulator.migration;

import dhis2simulator.conf.DhisConf;
import dhis2simulator.conf.Release;
import dhis2simulator.database.Sql;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.CoreMigrationType;
import org.flywaydb.core.api.MigrationVersion;
import org.flywaydb.core.api.migration.JavaMigration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Flyway with DHIS2's settings, on databases of DHIS2, of the sample dump, and on empty ones.
 *
 * <p>The simulator has none of DHIS2's migrations. It knows two kinds instead:
 * <ul>
 * <li>whatever the history holds up to the release's own line, taken over word for word, as a DHIS2 of that line
 *     would have it on board. What belongs to a later line stays unknown, so a database newer than the release is
 *     refused by Flyway itself;
 * <li>one of its own for each line (2.30.0, 2.31.1, ... 2.43.1) that is newer than all of the history. On an empty
 *     database these are all lines, on a dump of 2.41 only the later ones, on a dump of the same line none.
 * </ul>
 * Lock, retries, group transaction and validation are Flyway's.
 */
public final class Migrations {
    private static final Logger LOG = LoggerFactory.getLogger(Migrations.class);
    private static final int FIRST_LINE = 30;
    private static final String HISTORY = "flyway_schema_history";

    private Migrations() {}

    /** Migrates the database; throws FlywayException as DHIS2 would meet it. */
    public static void run(Sql primary, DhisConf conf, Release release) throws SQLException {
        if (release.knowsSkipMigration() && conf.isOn("flyway.skip_migration", false)) {
            LOG.info("Migration is skipped: flyway.skip_migration is on");
            return;
        }
        List<KnownMigration> seen = history(primary);
        long slow = TimeUnit.SECONDS.toMillis(conf.number("simulator.migration.seconds", 0));
        List<JavaMigration> resolved = resolve(seen, release, slow);
        Flyway flyway = Flyway.configure(Migrations.class.getClassLoader())
                .dataSource(primary.source())
                .baselineOnMigrate(true)
                .outOfOrder(conf.isOn("flyway.migrate_out_of_order", false))
                .ignoreMigrationPatterns("*:missing")
                .group(true)
                .mixed(true)
                .locations(new String[0])
                .javaMigrations(resolved.toArray(new JavaMigration[0]))
                .load();
        if (conf.isOn("flyway.repair_before_migration", false)) {
            flyway.repair();
        }
        flyway.migrate();
    }

    /** The migrations a release brings to a database with this history; `slow` milliseconds are shared by the new. */
    static List<JavaMigration> resolve(List<KnownMigration> seen, Release release, long slow) {
        MigrationVersion end = MigrationVersion.fromVersion("2." + (release.line() + 1));
        List<JavaMigration> resolved = new ArrayList<>();
        Set<MigrationVersion> versions = new TreeSet<>();
        for (KnownMigration one : seen) {
            versions.add(one.getVersion());
            if (one.getVersion().compareTo(end) < 0) {
                resolved.add(one);
            }
        }
        List<MigrationVersion> fresh = new ArrayList<>();
        for (int line = FIRST_LINE; line <= release.line(); line++) {
            MigrationVersion own = MigrationVersion.fromVersion("2." + line + (line == FIRST_LINE ? ".0" : ".1"));
            if (versions.stream().allMatch(version -> version.compareTo(own) < 0)) {
                fresh.add(own);
            }
        }
        for (MigrationVersion version : fresh) {
            String what = version.getVersion().equals("2.30.0") ? "Simulated base schema" : "Simulated changes";
            resolved.add(new LineMigration(version, what, slow / fresh.size()));
        }
        return resolved;
    }

    private static List<KnownMigration> history(Sql primary) throws SQLException {
        if (primary.value("select to_regclass(?)::text", HISTORY) == null) {
            return List.of();
        }
        List<Map<String, Object>> rows = primary.rows("select version, description, type, checksum from " + HISTORY
                + " where version is not null and type in ('SQL', 'JDBC') order by installed_rank");
        return rows.stream()
                .map(row -> new KnownMigration(
                        MigrationVersion.fromVersion((String) row.get("version")),
                        (String) row.get("description"),
                        CoreMigrationType.valueOf((String) row.get("type")),
                        (Integer) row.get("checksum")))
                .collect(Collectors.toList());
    }
}
