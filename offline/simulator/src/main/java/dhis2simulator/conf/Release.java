package dhis2simulator.conf;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Which DHIS2 is simulated: "2.43.1" is line 43, patch 1. Everything that differs by release is answered here. */
public record Release(int line, int patch) {
    private static final Pattern VERSION = Pattern.compile("2\\.(\\d+)\\.(\\d+)");
    private static final int FIRST_WITH_HIKARI = 43;
    private static final int WRITES_THROUGH_REPLICA = 42;
    private static final int FIRST_UNLOGGED = 41;
    private static final int FIRST_WITH_SKIP_MIGRATION = 42;
    private static final int FIRST_WITH_SETTINGS_IN_PROCESS = 42;
    private static final int FIRST_WITH_BUNDLED_APPS = 42;
    private static final int FIRST_WITH_RANDOM_APP_FOLDERS = 43;

    /** Reads a version; throws IllegalArgumentException on one that is not `2.line.patch`. */
    public static Release of(String version) {
        Matcher found = VERSION.matcher(version);
        if (!found.matches()) {
            throw new IllegalArgumentException("DHIS2_SIMULATOR_VERSION must look like 2.43.1, got '" + version + "'");
        }
        return new Release(Integer.parseInt(found.group(1)), Integer.parseInt(found.group(2)));
    }

    /** Whether `db.pool.type` is hikari unless dhis.conf says otherwise. */
    public boolean hikariByDefault() {
        return line >= FIRST_WITH_HIKARI;
    }

    /** The fault of the 2.42 line: the analytics job sends CREATE TABLE through the replica's connection. */
    public boolean createsAnalyticsTablesThroughReplica() {
        return line == WRITES_THROUGH_REPLICA;
    }

    /** The default of `analytics.table.unlogged`; unlogged tables never reach a replica. */
    public boolean unloggedByDefault() {
        return line >= FIRST_UNLOGGED;
    }

    /** Whether `flyway.skip_migration` is known. */
    public boolean knowsSkipMigration() {
        return line >= FIRST_WITH_SKIP_MIGRATION;
    }

    /** Whether system settings are in Redis for all nodes; later releases keep them in each process. */
    public boolean sharesSystemSettings() {
        return line < FIRST_WITH_SETTINGS_IN_PROCESS;
    }

    /** Whether the folder of an app has a random name; before, it is that of the zip file. */
    public boolean hasRandomAppFolders() {
        return line >= FIRST_WITH_RANDOM_APP_FOLDERS;
    }

    /** Whether the answer to an installation has the app. */
    public boolean namesAppsInAnswers() {
        return line >= FIRST_WITH_BUNDLED_APPS;
    }

    /** Whether reloading the apps empties their list for a moment. */
    public boolean flushesAppsOnReload() {
        return line >= FIRST_WITH_BUNDLED_APPS;
    }

    @Override
    public String toString() {
        return "2." + line + "." + patch;
    }
}
