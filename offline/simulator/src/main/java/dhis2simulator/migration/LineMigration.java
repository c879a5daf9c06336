package dhis2simulator.migration;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Statement;
import org.flywaydb.core.api.MigrationVersion;
import org.flywaydb.core.api.migration.Context;
import org.flywaydb.core.api.migration.JavaMigration;

/**
 * The simulator's own migration of one DHIS2 line.
 *
 * <p>Each creates what is missing of the tables the simulator uses; it takes as long as it is told to.
 */
public record LineMigration(MigrationVersion getVersion, String getDescription, long milliseconds)
        implements JavaMigration {
    private static final String TABLES = "/schema.sql";

    @Override
    public Integer getChecksum() {
        return null;
    }

    @Override
    public boolean canExecuteInTransaction() {
        return true;
    }

    @Override
    public void migrate(Context context) throws Exception {
        // Not pg_sleep: a killed simulator's lock must go at once, as a killed DHIS2's does between statements.
        Thread.sleep(milliseconds);
        try (Statement statement = context.getConnection().createStatement()) {
            statement.execute(tables());
        }
    }

    /** The statements that create the tables where they are missing. */
    static String tables() throws IOException {
        try (InputStream text = LineMigration.class.getResourceAsStream(TABLES)) {
            return new String(text.readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
