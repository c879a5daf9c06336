package dhis2simulator.migration;

import org.flywaydb.core.api.CoreMigrationType;
import org.flywaydb.core.api.MigrationVersion;
import org.flywaydb.core.api.migration.Context;
import org.flywaydb.core.api.migration.JavaMigration;
import org.flywaydb.core.extensibility.MigrationType;

/** A migration the database has already seen, in the words of its history: a DHIS2 of this line would know it too. */
public record KnownMigration(
        MigrationVersion getVersion, String getDescription, CoreMigrationType type, Integer getChecksum)
        implements JavaMigration {

    @Override
    public MigrationType getType() {
        return type;
    }

    @Override
    public boolean canExecuteInTransaction() {
        return true;
    }

    @Override
    public void migrate(Context context) {
        throw new IllegalStateException("The simulator cannot repeat DHIS2's migration " + getVersion);
    }
}
