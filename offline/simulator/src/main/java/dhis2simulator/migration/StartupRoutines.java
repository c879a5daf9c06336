package dhis2simulator.migration;

import dhis2simulator.conf.DhisConf;
import dhis2simulator.database.Sql;
import dhis2simulator.database.Uid;
import java.io.IOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The rows without which nobody can log in or store a value: admin, period types, the default category.
 *
 * <p>As in DHIS2 they follow the migrations by some seconds: an empty database has its tables before it has a user.
 */
public final class StartupRoutines {
    private static final Logger LOG = LoggerFactory.getLogger(StartupRoutines.class);
    // bcrypt of "district", the password DHIS2 gives the admin of an empty database.
    private static final String DISTRICT = "$2a$10$SampleDumpOfDhis2Cluseu3cSgYbPhdD3Wh3ziA19sltG8P/KPHC";
    private static final int SECONDS_WITHOUT_USERS = 3;
    private static final String ADMIN = "M5zQapPyTZI";
    private static final UUID ADMIN_UUID = UUID.fromString("6507f586-f154-4ec1-a25e-d7aa51de5216");
    private static final String SUPERUSER = "yrB6vc5Ip3r";
    private static final long LOCK = 20_2607L;
    private static final int FIRST_PERIOD_TYPE = 3;
    private static final List<String> PERIOD_TYPES = List.of(
            "Daily", "Weekly", "WeeklyWednesday", "WeeklyThursday", "WeeklySaturday", "WeeklySunday", "BiWeekly",
            "Monthly", "BiMonthly", "Quarterly", "QuarterlyNov", "SixMonthly", "SixMonthlyApril", "SixMonthlyNov",
            "Yearly", "FinancialApril", "FinancialJuly", "FinancialSep", "FinancialOct", "FinancialNov");

    private StartupRoutines() {}

    /** Adds what is missing; simulators that start at the same time take turns. */
    public static void run(Sql primary, DhisConf conf) throws SQLException, InterruptedException {
        if (primary.value("select 1 where not exists (select from userinfo)") != null) {
            // Meanwhile DHIS2 builds its application context; it took ten seconds on two processors.
            TimeUnit.SECONDS.sleep(conf.number("simulator.startup.seconds", SECONDS_WITHOUT_USERS));
        }
        primary.together(connection -> {
            Sql.rows(connection, "select pg_advisory_xact_lock(?)::text", LOCK);
            addTables(connection);
            addPeriodTypes(connection);
            addCategory(connection);
            addAdmin(connection);
            return null;
        });
    }

    /** The sample dump has none for uploads, and no migration need be pending that would create it. */
    private static void addTables(Connection connection) throws SQLException {
        if (empty(connection, "select 1 where to_regclass('fileresource') is not null")) {
            try (Statement statement = connection.createStatement()) {
                statement.execute(LineMigration.tables());
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        }
    }

    private static void addPeriodTypes(Connection connection) throws SQLException {
        if (empty(connection, "select 1 from periodtype")) {
            int key = FIRST_PERIOD_TYPE;
            for (String name : PERIOD_TYPES) {
                Sql.update(connection, "insert into periodtype (periodtypeid, name) values (?, ?)", key++, name);
            }
        }
    }

    private static void addCategory(Connection connection) throws SQLException {
        if (empty(connection, "select 1 from categorycombo where name = 'default'")) {
            Sql.update(connection, "insert into categorycombo (categorycomboid, uid, code, created, lastupdated, name,"
                    + " datadimensiontype, skiptotal) values (nextval('hibernate_sequence'), ?, 'default', now(),"
                    + " now(), 'default', 'DISAGGREGATION', false)", Uid.fresh());
            Sql.update(connection, "insert into categoryoptioncombo (categoryoptioncomboid, uid, code, created,"
                    + " lastupdated, name, ignoreapproval) values (nextval('hibernate_sequence'), ?, 'default',"
                    + " now(), now(), 'default', false)", Uid.fresh());
        }
    }

    private static void addAdmin(Connection connection) throws SQLException {
        if (!empty(connection, "select 1 from userinfo")) {
            return;
        }
        LOG.info("No users yet: creating admin with the default password");
        Sql.update(connection, "insert into userinfo (userinfoid, uid, code, created, lastupdated, surname, firstname,"
                + " username, password, passwordlastupdated, externalauth, selfregistered, invitation, disabled, uuid)"
                + " values (nextval('hibernate_sequence'), ?, 'admin', now(), now(), 'admin', 'admin', 'admin', ?,"
                + " now(), false, false, false, false, ?)", ADMIN, DISTRICT, ADMIN_UUID);
        Sql.update(connection, "insert into userrole (userroleid, uid, code, created, lastupdated, name,"
                + " description) values (nextval('hibernate_sequence'), ?, 'Superuser', now(), now(), 'Superuser',"
                + " 'Superuser')", SUPERUSER);
        Sql.update(connection, "insert into userroleauthorities (userroleid, authority)"
                + " select userroleid, 'ALL' from userrole where name = 'Superuser'");
        Sql.update(connection, "insert into userrolemembers (userroleid, userid)"
                + " select userroleid, userinfoid from userrole r, userinfo where r.name = 'Superuser'"
                + " and username = 'admin'");
    }

    private static boolean empty(Connection connection, String query) throws SQLException {
        return Sql.rows(connection, query + " limit 1").isEmpty();
    }
}
