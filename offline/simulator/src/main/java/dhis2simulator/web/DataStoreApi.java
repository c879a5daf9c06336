package dhis2simulator.web;

import dhis2simulator.Node;
import dhis2simulator.database.Sql;
import dhis2simulator.database.Uid;
import java.io.IOException;
import java.sql.SQLException;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** Each user's own key-value store: small writes on the primary. */
final class DataStoreApi {
    private static final int OK = 200;
    private static final int CREATED = 201;
    private static final int NOT_FOUND = 404;
    private static final int CONFLICT = 409;
    private static final String KEY = "/api/userDataStore/{namespace}/{key}";
    private static final String WHOSE = " where userid = ? and namespace = ? and userkey = ?";
    private static final String INSERT = "insert into userkeyjsonvalue (userkeyjsonvalueid, uid, created, lastupdated,"
            + " userid, namespace, userkey, encrypted, jbvalue)"
            + " values (nextval('hibernate_sequence'), ?, now(), now(), ?, ?, ?, false, ?::jsonb)"
            + " on conflict (userid, namespace, userkey) do ";
    private final Sql primary;

    DataStoreApi(Node node) {
        primary = node.pools().primary();
    }

    void routes(Router router) {
        router.add("GET", "/api/userDataStore", exchange -> names(exchange, "select distinct namespace as name"
                        + " from userkeyjsonvalue where userid = ? order by 1", exchange.login().id()))
                .add("GET", "/api/userDataStore/{namespace}", exchange -> names(exchange, "select userkey as name"
                        + " from userkeyjsonvalue where userid = ? and namespace = ? order by 1",
                        exchange.login().id(), exchange.path().get("namespace")))
                .add("GET", KEY, this::show)
                .add("POST", KEY, this::create)
                .add("PUT", KEY, this::put)
                .add("DELETE", KEY, this::remove);
    }

    private void names(Exchange exchange, String query, Object... arguments) throws SQLException, IOException {
        List<Object> names = primary.rows(query, arguments).stream().map(row -> row.get("name")).toList();
        exchange.json(OK, names);
    }

    private void show(Exchange exchange) throws SQLException, IOException {
        Object value = primary.value("select jbvalue::text from userkeyjsonvalue" + WHOSE, key(exchange));
        if (value == null) {
            throw missing();
        }
        exchange.send(OK, "application/json", (String) value);
    }

    private void create(Exchange exchange) throws SQLException, IOException {
        if (write(exchange, "nothing") == 0) {
            throw new ApiError(CONFLICT, "The key exists already");
        }
        exchange.message(CREATED, "Key created");
    }

    private void put(Exchange exchange) throws SQLException, IOException {
        write(exchange, "update set jbvalue = excluded.jbvalue, lastupdated = now()");
        exchange.message(OK, "Key updated");
    }

    private int write(Exchange exchange, String otherwise) throws SQLException, IOException {
        JsonNode body = exchange.body();
        return primary.update(INSERT + otherwise, Uid.fresh(), exchange.login().id(),
                exchange.path().get("namespace"), exchange.path().get("key"), body.toString());
    }

    private void remove(Exchange exchange) throws SQLException, IOException {
        if (primary.update("delete from userkeyjsonvalue" + WHOSE, key(exchange)) == 0) {
            throw missing();
        }
        exchange.message(OK, "Key deleted");
    }

    private static Object[] key(Exchange exchange) {
        return new Object[] {exchange.login().id(), exchange.path().get("namespace"), exchange.path().get("key")};
    }

    private static ApiError missing() {
        return new ApiError(NOT_FOUND, "There is no such key");
    }
}
