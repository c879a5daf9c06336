package dhis2simulator.web;

import dhis2simulator.Node;
import dhis2simulator.apps.Apps;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.Part;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import org.springframework.http.HttpEntity;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpMethod;
import org.springframework.http.MediaType;
import org.springframework.web.client.HttpStatusCodeException;
import org.springframework.web.client.RestClientException;
import org.springframework.web.client.RestTemplate;
import tools.jackson.databind.node.ObjectNode;

/** Installed apps, and the App Hub, which DHIS2 asks and downloads from itself. */
final class AppsApi {
    private static final int OK = 200;
    private static final int CREATED = 201;
    private static final int NO_CONTENT = 204;
    private static final int BAD_REQUEST = 400;
    private static final int NOT_FOUND = 404;
    private static final int CONFLICT = 409;
    private static final int UNAVAILABLE = 503;
    private static final String HUB = "/api/appHub/{version}";
    private final Node node;
    private final RestTemplate client = new RestTemplate();

    AppsApi(Node node) {
        this.node = node;
    }

    void routes(Router router) {
        router.add("GET", "/api/apps", exchange -> exchange.json(OK, node.apps().list()))
                .add("POST", "/api/apps", this::upload)
                .add("PUT", "/api/apps", this::reload)
                .add("GET", "/api/apps/{app}/{page}", this::page)
                .add("GET", HUB + "/{a}", this::ask)
                .add("GET", HUB + "/{a}/{b}", this::ask)
                .add("GET", HUB + "/{a}/{b}/{c}", this::ask)
                .add("POST", HUB, this::installFromHub);
    }

    private void reload(Exchange exchange) throws IOException {
        node.apps().reload();
        exchange.response().setStatus(NO_CONTENT);
    }

    private void page(Exchange exchange) throws IOException {
        String key = exchange.path().get("app");
        ObjectNode app = node.apps().find(key);
        if (app == null) {
            throw new ApiError(NOT_FOUND, "App '" + key + "' not found.");
        }
        byte[] file = node.apps().file(app, exchange.path().get("page"));
        if (file == null) {
            throw new ApiError(NOT_FOUND, "Not Found");
        }
        exchange.send(OK, "text/html", new String(file, StandardCharsets.UTF_8));
    }

    private void upload(Exchange exchange) throws IOException {
        try {
            Part part = exchange.request().getPart("file");
            if (part == null) {
                throw new ApiError(BAD_REQUEST, "Required part 'file' is not present.");
            }
            try (InputStream content = part.getInputStream()) {
                install(exchange, content, part.getSubmittedFileName());
            }
        } catch (ServletException error) {
            throw new ApiError(BAD_REQUEST, "Current request is not a multipart request");
        }
    }

    private void install(Exchange exchange, InputStream content, String name) throws IOException {
        Path received = Files.createTempFile("IMPORT_", "_ZIP");
        try {
            Files.copy(content, received, StandardCopyOption.REPLACE_EXISTING);
            ObjectNode app = node.apps().install(received, name);
            if (node.release().namesAppsInAnswers()) {
                exchange.json(CREATED, app);
            } else {
                exchange.response().setStatus(NO_CONTENT);
            }
        } catch (Apps.Refused error) {
            throw new ApiError(CONFLICT, error.getMessage());
        } finally {
            Files.delete(received);
        }
    }

    private void ask(Exchange exchange) throws IOException {
        Map<String, String> path = exchange.path();
        if (!path.get("version").matches("v\\d+")) {
            throw new ApiError(CONFLICT, "Illegal API version");
        }
        String query = exchange.request().getQueryString();
        exchange.send(OK, "application/json",
                response(String.join("/", path.values()) + (query == null ? "" : "?" + query)));
    }

    private void installFromHub(Exchange exchange) throws IOException {
        String version = exchange.path().get("version");
        if (!version.matches("[0-9a-fA-F-]{36}")) {
            throw new ApiError(BAD_REQUEST, "Value '" + version + "' is not valid for path variable versionId.");
        }
        String url = Exchange.JSON.readTree(response("v2/appVersions/" + version)).path("downloadUrl").asString("");
        if (url.isEmpty()) {
            throw new ApiError(CONFLICT, "App could not be found");
        }
        try (InputStream content = URI.create(url).toURL().openStream()) {
            install(exchange, content, url.substring(url.lastIndexOf('/') + 1));
        } catch (IOException error) {
            throw new ApiError(CONFLICT, "App could not be found");
        }
    }

    /** What the App Hub answers; its errors become those of this request, and 503 where it does not answer. */
    private String response(String path) {
        String url = node.conf().get("apphub.api.url", "https://apps.dhis2.org/api") + "/" + path;
        HttpHeaders headers = new HttpHeaders();
        headers.set(HttpHeaders.ACCEPT, MediaType.APPLICATION_JSON_VALUE);
        headers.set(HttpHeaders.USER_AGENT, "");
        try {
            return client.exchange(URI.create(url), HttpMethod.GET, new HttpEntity<>(headers), String.class).getBody();
        } catch (HttpStatusCodeException error) {
            throw new ApiError(error.getStatusCode().value(), error.getMessage());
        } catch (RestClientException error) {
            throw new ApiError(UNAVAILABLE, error.getMessage());
        }
    }
}
