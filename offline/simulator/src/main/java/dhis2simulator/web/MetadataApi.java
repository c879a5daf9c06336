package dhis2simulator.web;

import dhis2simulator.Node;
import dhis2simulator.web.MetadataKind.Problem;
import java.io.IOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/**
 * Imports metadata as JSON: organisation units, data elements and user roles, answered by DHIS2's import report.
 *
 * <p>Parameters as in DHIS2: `importStrategy` CREATE_AND_UPDATE, CREATE or UPDATE, `importMode` COMMIT or VALIDATE,
 * `atomicMode` ALL or NONE, `importReportMode` ERRORS or FULL.
 */
final class MetadataApi {
    private static final int OK = 200;
    private static final int BAD_REQUEST = 400;
    private static final int CONFLICT = 409;
    private final Node node;

    MetadataApi(Node node) {
        this.node = node;
    }

    void routes(Router router) {
        router.add("POST", "/api/metadata", this::load);
    }

    private record Options(boolean creates, boolean updates, boolean commits, boolean atomic, boolean full) {
        static Options of(Exchange exchange) {
            String strategy = exchange.parameter("importStrategy", "CREATE_AND_UPDATE");
            return new Options(strategy.startsWith("CREATE"), strategy.endsWith("UPDATE"),
                    !"VALIDATE".equals(exchange.parameter("importMode", "COMMIT")),
                    !"NONE".equals(exchange.parameter("atomicMode", "ALL")),
                    "FULL".equals(exchange.parameter("importReportMode", "ERRORS")));
        }
    }

    /** One object of the body: what is done with it, or why nothing is. */
    private record Item(int index, String uid, JsonNode content, boolean update, Problem problem) {}

    private void load(Exchange exchange) throws SQLException, IOException {
        Options options = Options.of(exchange);
        JsonNode body = exchange.body();
        if (!body.isObject()) {
            throw new ApiError(BAD_REQUEST, "The body is not a JSON object");
        }
        Map<MetadataKind, List<Item>> items = node.pools().primary().together(connection -> {
            Map<MetadataKind, List<Item>> evaluated = evaluate(connection, body, options);
            boolean writes = options.commits() && !(options.atomic() && failed(evaluated));
            for (var kind : evaluated.entrySet()) {
                for (Item item : kind.getValue()) {
                    if (writes && item.problem() == null) {
                        kind.getKey().write(connection, item.uid(), item.content(), item.update());
                    }
                }
            }
            return evaluated;
        });
        items.keySet().forEach(kind -> node.cache().changed(kind.region()));
        answer(exchange, items, options);
    }

    private static Map<MetadataKind, List<Item>> evaluate(Connection connection, JsonNode body, Options options)
            throws SQLException {
        Map<MetadataKind, List<Item>> evaluated = new LinkedHashMap<>();
        for (MetadataKind kind : MetadataKind.values()) {
            JsonNode objects = body.path(kind.plural());
            for (int index = 0; index < objects.size(); index++) {
                JsonNode content = objects.get(index);
                String uid = content.path("id").asString(dhis2simulator.database.Uid.fresh());
                boolean exists = kind.exists(connection, uid);
                Problem problem = kind.problem(connection, uid, content);
                if (exists && !options.updates()) {
                    problem = Problem.exists(uid, content);
                } else if (!exists && !options.creates()) {
                    problem = Problem.missing(uid, content);
                }
                evaluated.computeIfAbsent(kind, key -> new ArrayList<>())
                        .add(new Item(index, uid, content, exists, problem));
            }
        }
        return evaluated;
    }

    private static boolean failed(Map<MetadataKind, List<Item>> items) {
        return items.values().stream().flatMap(List::stream).anyMatch(item -> item.problem() != null);
    }

    private static void answer(Exchange exchange, Map<MetadataKind, List<Item>> items, Options options)
            throws IOException {
        boolean failed = failed(items);
        boolean nothing = failed && options.atomic();
        Map<String, Object> report = new LinkedHashMap<>();
        report.put("responseType", "ImportReport");
        report.put("status", !failed ? "OK" : nothing ? "ERROR" : "WARNING");
        report.put("stats", stats(items.values().stream().flatMap(List::stream).toList(), nothing));
        report.put("typeReports", items.entrySet().stream()
                .map(kind -> typeReport(kind.getKey(), kind.getValue(), nothing, options.full())).toList());
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("httpStatus", failed ? "Conflict" : "OK");
        answer.put("httpStatusCode", failed ? CONFLICT : OK);
        answer.put("status", failed ? "WARNING" : "OK");
        if (failed) {
            answer.put("message", "One or more errors occurred, please see full details in import report.");
        }
        answer.put("response", report);
        exchange.json(failed ? CONFLICT : OK, answer);
    }

    private static Map<String, Object> typeReport(MetadataKind kind, List<Item> items, boolean nothing, boolean full) {
        Map<String, Object> report = new LinkedHashMap<>();
        report.put("klass", kind.klass());
        report.put("stats", stats(items, nothing));
        report.put("objectReports", items.stream().filter(item -> full || item.problem() != null).map(item -> Map.of(
                "klass", kind.klass(), "index", item.index(), "uid", item.uid(),
                "errorReports", item.problem() == null ? List.of() : List.of(item.problem().report(kind.klass()))))
                .toList());
        return report;
    }

    private static Map<String, Object> stats(List<Item> items, boolean nothing) {
        long written = nothing ? 0 : items.stream().filter(item -> item.problem() == null).count();
        long updated = nothing ? 0 : items.stream().filter(item -> item.problem() == null && item.update()).count();
        Map<String, Object> stats = new LinkedHashMap<>();
        stats.put("created", written - updated);
        stats.put("updated", updated);
        stats.put("deleted", 0);
        stats.put("ignored", items.size() - written);
        stats.put("total", items.size());
        return stats;
    }
}
