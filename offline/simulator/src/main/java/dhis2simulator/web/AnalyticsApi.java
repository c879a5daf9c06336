package dhis2simulator.web;

import dhis2simulator.Node;
import dhis2simulator.database.Sql;
import java.io.IOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What DHIS2 reads from replicas: aggregated data, and the list of data items.
 *
 * <p>Nothing in an answer names the server it came from. Where a query fails, also for want of a connection, the answer
 * is 409, which load balancers do not try again.
 */
final class AnalyticsApi {
    private static final Logger LOG = LoggerFactory.getLogger(AnalyticsApi.class);
    private static final int OK = 200;
    private static final int CONFLICT = 409;
    private static final int PAGE = 50;
    private final Node node;

    AnalyticsApi(Node node) {
        this.node = node;
    }

    void routes(Router router) {
        router.add("GET", "/api/analytics", exchange -> read(exchange, this::analytics))
                .add("GET", "/api/dataItems", exchange -> read(exchange, this::items));
    }

    @FunctionalInterface
    private interface Read {
        Map<String, Object> on(Exchange exchange, Connection connection) throws SQLException;
    }

    private void read(Exchange exchange, Read query) throws IOException {
        try (Connection connection = node.pools().reader().source().getConnection()) {
            exchange.json(OK, query.on(exchange, connection));
        } catch (SQLException error) {
            LOG.warn("A read failed: {} {}", error.getSQLState(), error.getMessage());
            throw new ApiError(CONFLICT, "Query failed, likely because the query timed out", "E7131");
        }
    }

    private Map<String, Object> analytics(Exchange exchange, Connection connection) throws SQLException {
        Dimensions asked = Dimensions.of(exchange.request().getParameterValues("dimension"),
                exchange.request().getParameterValues("filter"));
        boolean tables = exists(connection, "analytics");
        if (!tables && lastJobFailed(connection)) {
            throw new ApiError(CONFLICT, "There are no analytics tables, the analytics job must run first", "E7144");
        }
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("headers", asked.headers());
        List<List<Object>> rows = Sql.rows(connection, asked.query(tables), asked.arguments()).stream()
                .map(row -> List.copyOf(row.values())).toList();
        answer.put("metaData", Map.of("items", Map.of(), "dimensions", asked.chosen()));
        answer.put("rowContext", Map.of());
        answer.put("rows", rows);
        answer.put("width", asked.headers().size());
        answer.put("height", rows.size());
        answer.put("headerWidth", asked.headers().size());
        return answer;
    }

    private Map<String, Object> items(Exchange exchange, Connection connection) throws SQLException {
        String like = "%" + exchange.parameter("query", "") + "%";
        List<Map<String, Object>> items = Sql.rows(connection, "select uid as id, name, name as \"displayName\","
                + " 'DATA_ELEMENT' as \"dimensionItemType\" from dataelement where domaintype = 'AGGREGATE'"
                + " and name ilike ? order by name limit ?", like, exchange.number("pageSize", PAGE));
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("dataItems", items);
        return answer;
    }

    private static boolean exists(Connection connection, String table) throws SQLException {
        return Sql.rows(connection, "select to_regclass(?)::text as name", table).get(0).get("name") != null;
    }

    private static boolean lastJobFailed(Connection connection) throws SQLException {
        return !Sql.rows(connection, "select 1 from jobconfiguration where jobtype = 'ANALYTICS_TABLE'"
                + " and lastexecutedstatus = 'FAILED' limit 1").isEmpty();
    }
}
