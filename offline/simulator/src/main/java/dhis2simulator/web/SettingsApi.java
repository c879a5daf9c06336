package dhis2simulator.web;

import dhis2simulator.Node;
import dhis2simulator.cache.SystemSettings;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/** Reading and changing system settings, which this node remembers: see SystemSettings. */
final class SettingsApi {
    private static final int OK = 200;
    private static final int NO_CONTENT = 204;
    private static final int BAD_REQUEST = 400;
    private static final int NOT_FOUND = 404;
    private static final String PATH = "/api/systemSettings";
    private static final String KEY = PATH + "/{key}";
    private final SystemSettings settings;

    SettingsApi(Node node) {
        settings = node.settings();
    }

    void routes(Router router) {
        router.add("GET", PATH, exchange -> exchange.json(OK, settings.all()))
                .add("POST", PATH, this::importAll)
                .add("GET", KEY, this::show)
                .add("POST", KEY, this::put)
                .add("DELETE", KEY, this::remove);
    }

    private void show(Exchange exchange) throws SQLException, IOException {
        String key = known(exchange.path().get("key"));
        exchange.response().setHeader("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate");
        if (String.valueOf(exchange.request().getHeader("Accept")).contains("application/json")) {
            exchange.json(OK, Map.of(key, settings.get(key)));
        } else {
            exchange.send(OK, "text/plain", settings.get(key));
        }
    }

    private void importAll(Exchange exchange) throws SQLException, IOException {
        Map<String, String> values = new LinkedHashMap<>();
        JsonNode body = exchange.body();
        if (!body.isObject()) {
            throw new ApiError(BAD_REQUEST, "The body is not a JSON object");
        }
        body.properties().forEach(one -> values.put(known(one.getKey()), one.getValue().asString("")));
        settings.put(values);
        exchange.message(OK, "System settings imported");
    }

    private void put(Exchange exchange) throws SQLException, IOException {
        String key = known(exchange.path().get("key"));
        String value = exchange.request().getParameter("value");
        if (value == null) {
            value = new String(exchange.request().getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        }
        settings.put(Map.of(key, value));
        exchange.message(OK, "System setting '" + key + "' set to value '" + value + "'.");
    }

    private void remove(Exchange exchange) throws SQLException {
        settings.remove(known(exchange.path().get("key")));
        exchange.response().setStatus(NO_CONTENT);
    }

    private static String known(String key) {
        if (!SystemSettings.knows(key)) {
            throw new ApiError(NOT_FOUND, "Setting does not exist: " + key);
        }
        return key;
    }
}
