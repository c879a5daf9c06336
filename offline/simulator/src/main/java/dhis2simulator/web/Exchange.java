package dhis2simulator.web;

import dhis2simulator.session.Login;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** One request and its answer, with the variables of its path. */
public record Exchange(HttpServletRequest request, HttpServletResponse response, Map<String, String> path) {
    static final JsonMapper JSON = JsonMapper.builder().build();

    /** The logged-in user; set for every path that is not open. */
    public Login login() {
        return (Login) request.getAttribute(Login.ATTRIBUTE);
    }

    /** A query or form parameter, or the default where it is absent or empty. */
    public String parameter(String name, String otherwise) {
        String value = request.getParameter(name);
        return value == null || value.isBlank() ? otherwise : value;
    }

    /** A parameter that must be there; throws ApiError 409. */
    public String need(String name) {
        String value = parameter(name, null);
        if (value == null) {
            throw new ApiError(HttpServletResponse.SC_CONFLICT, "Parameter " + name + " is missing");
        }
        return value;
    }

    /** A parameter as a number of 0 or more; throws ApiError 400. */
    public int number(String name, int otherwise) {
        try {
            return Math.max(0, Integer.parseInt(parameter(name, String.valueOf(otherwise))));
        } catch (NumberFormatException error) {
            throw new ApiError(HttpServletResponse.SC_BAD_REQUEST, "Parameter " + name + " is not a number");
        }
    }

    /** The request's body; throws ApiError 400 where it is no JSON. */
    public JsonNode body() throws IOException {
        try {
            return JSON.readTree(request.getInputStream().readAllBytes());
        } catch (JacksonException error) {
            throw new ApiError(HttpServletResponse.SC_BAD_REQUEST, "The body is not JSON");
        }
    }

    /** Answers with JSON. */
    public void json(int status, Object content) throws IOException {
        send(status, "application/json", JSON.writeValueAsString(content));
    }

    /** Answers as DHIS2 does to changes: status, code and a message. */
    public void message(int status, String text) throws IOException {
        json(status, message(status, text, null));
    }

    /** The body of such an answer. */
    static Map<String, Object> message(int status, String text, String code) {
        boolean good = status < HttpServletResponse.SC_BAD_REQUEST;
        Map<String, Object> content = new LinkedHashMap<>();
        content.put("httpStatusCode", status);
        content.put("status", good ? "OK" : "ERROR");
        content.put("message", text);
        if (code != null) {
            content.put("errorCode", code);
        }
        return content;
    }

    /** Answers with text of a kind. */
    public void send(int status, String kind, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        response.setStatus(status);
        response.setContentType(kind + ";charset=UTF-8");
        response.setContentLength(bytes.length);
        response.getOutputStream().write(bytes);
    }

    /** Sends the browser to a path of this server, by an absolute URL as DHIS2. */
    public void redirect(String to) {
        response.setStatus(HttpServletResponse.SC_FOUND);
        response.setHeader("Location", Links.base(request) + to);
    }
}
