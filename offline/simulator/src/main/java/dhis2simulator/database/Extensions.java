package dhis2simulator.database;

import java.sql.SQLException;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The PostgreSQL extensions DHIS2 cannot do without. */
public final class Extensions {
    private static final Logger LOG = LoggerFactory.getLogger(Extensions.class);
    private static final List<String> NEEDED = List.of("postgis", "pg_trgm", "btree_gin");

    private Extensions() {}

    /**
     * Tries to create each, as DHIS2 does at every start, then looks whether all are there.
     *
     * @throws IllegalStateException naming the first that is not
     */
    public static void check(Sql primary) throws SQLException {
        for (String name : NEEDED) {
            try {
                primary.update("create extension " + name);
            } catch (SQLException error) {
                LOG.debug("create extension {}: {}", name, error.getMessage());
            }
            if (primary.value("select 1 from pg_extension where extname = ?", name) == null) {
                throw new IllegalStateException("The database has no extension " + name
                        + ". As a superuser run: create extension " + name);
            }
        }
    }
}
