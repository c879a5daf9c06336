package dhis2simulator.web;

import dhis2simulator.Node;
import dhis2simulator.database.Sql;
import java.io.IOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.DateTimeException;
import java.time.LocalDate;
import java.time.YearMonth;
import java.util.List;
import java.util.Map;

/** Single data values of months, written to and read from the primary: `de`, `pe` (202601), `ou`, `co`, `value`. */
final class DataValuesApi {
    private static final int OK = 200;
    private static final int CREATED = 201;
    private static final int NOT_FOUND = 404;
    private static final int CONFLICT = 409;
    private final Node node;

    DataValuesApi(Node node) {
        this.node = node;
    }

    void routes(Router router) {
        router.add("GET", "/api/dataValues", this::show).add("POST", "/api/dataValues", this::write);
    }

    private record Key(Object element, Object unit, Object option, Object attributes, LocalDate start, LocalDate end) {}

    private void show(Exchange exchange) throws SQLException, IOException {
        try (Connection connection = node.pools().primarySource().getConnection()) {
            Key key = key(exchange, connection);
            List<Map<String, Object>> found = Sql.rows(connection, "select value from datavalue"
                    + " join period using (periodid) join periodtype pt using (periodtypeid) where not deleted"
                    + " and dataelementid = ? and sourceid = ? and categoryoptioncomboid = ?"
                    + " and attributeoptioncomboid = ? and startdate = ? and pt.name = 'Monthly'",
                    key.element(), key.unit(), key.option(), key.attributes(), key.start());
            if (found.isEmpty()) {
                throw new ApiError(NOT_FOUND, "There is no such data value");
            }
            exchange.json(OK, List.of(String.valueOf(found.get(0).get("value"))));
        }
    }

    private void write(Exchange exchange) throws SQLException, IOException {
        String value = exchange.need("value");
        node.pools().primary().together(connection -> {
            Key key = key(exchange, connection);
            Sql.update(connection, "insert into period (periodid, periodtypeid, startdate, enddate)"
                    + " select nextval('hibernate_sequence'), periodtypeid, ?, ? from periodtype where name = 'Monthly'"
                    + " on conflict (periodtypeid, startdate, enddate) do nothing", key.start(), key.end());
            return Sql.update(connection, "insert into datavalue (dataelementid, periodid, sourceid,"
                    + " categoryoptioncomboid, attributeoptioncomboid, value, storedby, created, lastupdated, followup,"
                    + " deleted) select ?, periodid, ?, ?, ?, ?, ?, now(), now(), false, false from period"
                    + " join periodtype pt using (periodtypeid) where pt.name = 'Monthly' and startdate = ?"
                    + " on conflict (dataelementid, periodid, sourceid, categoryoptioncomboid, attributeoptioncomboid)"
                    + " do update set value = excluded.value, lastupdated = now(), deleted = false",
                    key.element(), key.unit(), key.option(), key.attributes(), value, exchange.login().username(),
                    key.start());
        });
        exchange.response().setStatus(CREATED);
    }

    private static Key key(Exchange exchange, Connection connection) throws SQLException {
        String period = exchange.need("pe");
        YearMonth month;
        try {
            month = YearMonth.of(Integer.parseInt(period.substring(0, 4)), Integer.parseInt(period.substring(4)));
        } catch (NumberFormatException | StringIndexOutOfBoundsException | DateTimeException error) {
            throw new ApiError(CONFLICT, "pe must be a month such as 202601");
        }
        String standard = "select categoryoptioncomboid from categoryoptioncombo where name = 'default'";
        String option = exchange.parameter("co", null);
        Object attributes = id(connection, standard, "default category option combination");
        Object chosen = option == null ? attributes : id(connection, "select categoryoptioncomboid"
                + " from categoryoptioncombo where uid = ?", "category option combination", option);
        return new Key(
                id(connection, "select dataelementid from dataelement where uid = ?", "data element",
                        exchange.need("de")),
                id(connection, "select organisationunitid from organisationunit where uid = ?", "organisation unit",
                        exchange.need("ou")),
                chosen, attributes, month.atDay(1), month.atEndOfMonth());
    }

    private static Object id(Connection connection, String query, String what, Object... arguments)
            throws SQLException {
        List<Map<String, Object>> found = Sql.rows(connection, query, arguments);
        if (found.isEmpty()) {
            throw new ApiError(CONFLICT, "There is no such " + what);
        }
        return found.get(0).values().iterator().next();
    }
}
