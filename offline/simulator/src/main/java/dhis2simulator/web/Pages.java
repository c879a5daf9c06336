package dhis2simulator.web;

import dhis2simulator.Node;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/** What a browser is shown: a login page, and a page that says what this is. */
final class Pages {
    private static final int OK = 200;
    private final Node node;

    Pages(Node node) {
        this.node = node;
    }

    void routes(Router router) {
        router.add("GET", "/dhis-web-login", exchange -> page(exchange, "/login.html"))
                .add("GET", "/", exchange -> page(exchange, "/home.html"))
                .add("GET", "/dhis-web-commons/security/login.action", exchange -> exchange.redirect(Guard.LOGIN_PAGE))
                .add("GET", "/favicon.ico", exchange -> exchange.response().setStatus(204));
    }

    private void page(Exchange exchange, String name) throws IOException {
        String user = exchange.login() == null ? "" : exchange.login().username();
        String text = resource(name)
                .replace("{version}", node.release().toString())
                .replace("{node}", escaped(node.id()))
                .replace("{user}", escaped(user));
        exchange.response().setHeader("Cache-Control", "no-store");
        exchange.send(OK, "text/html", text);
    }

    private static String resource(String name) throws IOException {
        try (InputStream text = Pages.class.getResourceAsStream(name)) {
            return new String(text.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static String escaped(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace("\"", "&quot;");
    }
}
