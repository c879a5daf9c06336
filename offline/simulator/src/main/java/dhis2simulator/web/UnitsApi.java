package dhis2simulator.web;

import dhis2simulator.Node;
import dhis2simulator.database.Sql;
import java.io.IOException;
import java.sql.SQLException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/** Organisation units, and lists of data elements: metadata, read from the primary through this node's memory. */
final class UnitsApi {
    private static final int OK = 200;
    private static final int CREATED = 201;
    private static final int NOT_FOUND = 404;
    private static final int CONFLICT = 409;
    private static final int PAGE = 50;
    private static final String REGION = "organisationUnit";
    private static final String COLUMNS = "uid as id, code, name, shortname as \"shortName\", name as \"displayName\","
            + " path, hierarchylevel as level, openingdate::text as \"openingDate\", lastupdated::text as"
            + " \"lastUpdated\"";
    private final Node node;

    UnitsApi(Node node) {
        this.node = node;
    }

    void routes(Router router) {
        router.add("GET", "/api/organisationUnits", exchange -> list(exchange, REGION, "organisationunit"))
                .add("GET", "/api/dataElements", exchange -> list(exchange, "dataElement", "dataelement"))
                .add("POST", "/api/organisationUnits", this::create)
                .add("GET", "/api/organisationUnits/{uid}", this::show)
                .add("PUT", "/api/organisationUnits/{uid}", this::change)
                .add("PATCH", "/api/organisationUnits/{uid}", this::change);
    }

    private void list(Exchange exchange, String region, String table) throws SQLException, IOException {
        boolean paged = !"false".equals(exchange.parameter("paging", "true"));
        int size = Math.max(1, exchange.number("pageSize", PAGE));
        int page = Math.max(1, exchange.number("page", 1));
        String like = "%" + exchange.parameter("query", "") + "%";
        long total = node.cache().get(region, "count " + like, () -> (Long) node.pools().primary()
                .value("select count(*) from " + table + " where name ilike ?", like));
        Integer limit = paged ? size : null;
        long offset = paged ? (page - 1L) * size : 0;
        List<Map<String, Object>> rows = node.cache().get(region, "list " + limit + " " + offset + " " + like,
                () -> node.pools().primary().rows("select uid as id, name as \"displayName\" from " + table
                        + " where name ilike ? order by name, uid limit ?::integer offset ?", like, limit, offset));
        Map<String, Object> answer = new LinkedHashMap<>();
        if (paged) {
            answer.put("pager", Map.of("page", page, "pageSize", size, "total", total,
                    "pageCount", Math.max(1, (total + size - 1) / size)));
        }
        answer.put(region + "s", rows);
        exchange.json(OK, answer);
    }

    private void show(Exchange exchange) throws SQLException, IOException {
        String uid = exchange.path().get("uid");
        Map<String, Object> unit = node.cache().get(REGION, uid, () -> node.pools().primary()
                .first("select " + COLUMNS + " from organisationunit where uid = ?", uid));
        if (unit == null) {
            throw missing(uid);
        }
        exchange.json(OK, unit);
    }

    private void change(Exchange exchange) throws SQLException, IOException {
        String uid = exchange.path().get("uid");
        JsonNode body = exchange.body();
        int changed = node.pools().primary().update("update organisationunit set name = coalesce(?, name),"
                + " shortname = coalesce(?, shortname), lastupdated = now() where uid = ?",
                body.path("name").asString(null), body.path("shortName").asString(null), uid);
        if (changed == 0) {
            throw missing(uid);
        }
        node.cache().changed(REGION);
        exchange.message(OK, "Updated");
    }

    private void create(Exchange exchange) throws SQLException, IOException {
        JsonNode body = exchange.body();
        String name = body.path("name").asString("");
        if (name.isBlank()) {
            throw new ApiError(CONFLICT, "An organisation unit needs a name");
        }
        String uid = dhis2simulator.database.Uid.fresh();
        node.pools().primary().together(connection -> Sql.update(connection, "insert into organisationunit"
                + " (organisationunitid, uid, created, lastupdated, name, shortname, path, hierarchylevel,"
                + " openingdate) values (nextval('hibernate_sequence'), ?, now(), now(), ?, left(?, 50), ?, 1,"
                + " '1990-01-01')", uid, name, name, "/" + uid));
        node.cache().changed(REGION);
        exchange.json(CREATED, Map.of("httpStatusCode", CREATED, "status", "OK", "response", Map.of("uid", uid)));
    }

    private static ApiError missing(String uid) {
        return new ApiError(NOT_FOUND, "There is no organisation unit " + uid);
    }
}
