package dhis2simulator.jobs;

import dhis2simulator.Node;
import dhis2simulator.database.Sql;
import java.sql.SQLException;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.Map;

/**
 * Builds the tables analytics reads: organisation units with their path, then data values.
 *
 * <p>The second is created where the release creates it: on the 2.42 line through the replica's connection, which
 * fails there with SQL state 25006. Unlogged tables, the default, never reach a replica.
 */
final class AnalyticsTables {
    private static final String UNITS = "analytics_rs_orgunitstructure";
    private final Node node;

    AnalyticsTables(Node node) {
        this.node = node;
    }

    void build() throws SQLException {
        boolean unlogged = node.conf().isOn("analytics.table.unlogged", node.release().unloggedByDefault());
        String create = unlogged ? "create unlogged table " : "create table ";
        Sql primary = node.pools().primary();
        primary.together(connection -> {
            Sql.update(connection, "drop table if exists analytics_temp");
            Sql.update(connection, "drop table if exists " + UNITS);
            Sql.update(connection, "create table " + UNITS + " as select organisationunitid,"
                    + " uid as organisationunituid, hierarchylevel as level, path from organisationunit");
            return null;
        });
        Sql creator = node.release().createsAnalyticsTablesThroughReplica() ? node.pools().reader() : primary;
        creator.update(create + "analytics_temp (dx char(11) not null, ou char(11) not null, path varchar(255),"
                + " monthly text, yearly text, value double precision)");
        primary.together(connection -> {
            Sql.update(connection, "insert into analytics_temp select de.uid, ou.uid, ou.path,"
                    + " to_char(pe.startdate, 'YYYYMM'), to_char(pe.startdate, 'YYYY'), dv.value::double precision"
                    + " from datavalue dv join dataelement de using (dataelementid)"
                    + " join organisationunit ou on ou.organisationunitid = dv.sourceid join period pe using (periodid)"
                    + " where not dv.deleted and dv.value ~ '^-?[0-9]+([.][0-9]+)?$'");
            Sql.update(connection, "create index on analytics_temp (dx)");
            Sql.update(connection, "drop table if exists analytics");
            Sql.update(connection, "alter table analytics_temp rename to analytics");
            return null;
        });
        primary.update("analyze analytics");
        String now = LocalDateTime.now(ZoneOffset.UTC).truncatedTo(ChronoUnit.MILLIS).toString();
        node.settings().put(Map.of("keyLastSuccessfulAnalyticsTablesUpdate", now));
    }
}
