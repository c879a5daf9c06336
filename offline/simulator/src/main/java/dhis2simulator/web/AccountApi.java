package dhis2simulator.web;

import dhis2simulator.Node;
import dhis2simulator.session.Login;
import dhis2simulator.session.Users;
import java.io.IOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.SQLException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;

/** A user's own password, and the list of sessions. */
final class AccountApi {
    private static final int OK = 200;
    private static final int ACCEPTED = 202;
    private static final int CONFLICT = 409;
    private static final int ERROR = 500;
    private static final Pattern PASSWORD = Pattern.compile("(?=.*[A-Z])(?=.*\\d)(?=.*[^A-Za-z0-9]).{8,72}");
    private final Node node;
    private final Users users;

    AccountApi(Node node, Users users) {
        this.node = node;
        this.users = users;
    }

    void routes(Router router) {
        router.add("PUT", "/api/me/changePassword", this::changePassword).add("GET", "/api/sessions", this::sessions);
    }

    private void changePassword(Exchange exchange) throws SQLException, IOException {
        JsonNode body = exchange.body();
        String old = body.path("oldPassword").asString("");
        String password = body.path("newPassword").asString("");
        String username = exchange.login().username();
        if (old.isEmpty() || password.isEmpty()) {
            throw new ApiError(CONFLICT, "OldPassword and newPassword must be provided");
        }
        Login login = users.check(username, old);
        if (login == null) {
            throw new ApiError(CONFLICT, "OldPassword is incorrect");
        }
        if (!PASSWORD.matcher(password).matches()) {
            throw new ApiError(CONFLICT, "Password must have 8 to 72 characters, among them a capital letter, a digit"
                    + " and a special character");
        }
        users.change(username, password);
        node.sessions().end(username);
        exchange.response().setStatus(ACCEPTED);
    }

    /** DHIS2 takes the principals of sessions in Redis, which are names, for users, and fails. */
    private void sessions(Exchange exchange) throws IOException, NoSuchAlgorithmException {
        if (node.sessions().inRedis()) {
            throw new ApiError(ERROR, "class java.lang.String cannot be cast to class org.hisp.dhis.user.UserDetails");
        }
        // DHIS2 shows this digest of the id; nothing depends on its strength.
        MessageDigest digest = MessageDigest.getInstance("SHA-1");
        Map<String, String> shown = new LinkedHashMap<>();
        node.sessions().users().forEach((id, user) ->
                shown.put(HexFormat.of().formatHex(digest.digest(id.getBytes())), user + ", (active)"));
        exchange.json(OK, shown);
    }
}
