package dhis2simulator.web;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Finds what answers a method and path. DHIS2's `/api/43/...` is the same as `/api/...`. */
public final class Router {
    private final List<Route> routes = new ArrayList<>();

    /** Answers one exchange. */
    @FunctionalInterface
    public interface Handler {
        /** Answers; a SQLException or ApiError becomes an error answer. */
        void handle(Exchange exchange) throws Exception;
    }

    /** A handler with the variables of the path it was found for. */
    public record Match(Handler handler, Map<String, String> path) {}

    private record Route(String method, String[] words, Handler handler) {}

    /** Adds a route, e.g. GET `/api/organisationUnits/{uid}`; the first that fits is taken. */
    public Router add(String method, String pattern, Handler handler) {
        routes.add(new Route(method, pattern.split("/"), handler));
        return this;
    }

    /** The route's match, or null; HEAD is answered like GET. */
    public Match find(String method, String path) {
        String[] words = path.replaceFirst("^/api/\\d+/", "/api/").split("/");
        String wanted = "HEAD".equals(method) ? "GET" : method;
        for (Route route : routes) {
            Map<String, String> variables = route.method().equals(wanted) ? variables(route.words(), words) : null;
            if (variables != null) {
                return new Match(route.handler(), variables);
            }
        }
        return null;
    }

    private static Map<String, String> variables(String[] pattern, String[] words) {
        if (pattern.length != words.length) {
            return null;
        }
        Map<String, String> found = new LinkedHashMap<>();
        for (int index = 0; index < pattern.length; index++) {
            String expected = pattern[index];
            if (expected.startsWith("{")) {
                found.put(expected.substring(1, expected.length() - 1), words[index]);
            } else if (!expected.equals(words[index])) {
                return null;
            }
        }
        return found;
    }
}
