package dhis2simulator.web;

import dhis2simulator.Node;
import dhis2simulator.session.Login;
import dhis2simulator.session.Users;
import jakarta.servlet.http.HttpSession;
import java.io.IOException;
import java.sql.SQLException;
import java.util.Map;
import org.springframework.session.FindByIndexNameSessionRepository;
import tools.jackson.databind.JsonNode;

/** Logging in and out. */
final class LoginApi {
    private static final int OK = 200;
    private static final int UNAUTHORIZED = 401;
    private final Node node;
    private final Users users;

    LoginApi(Node node, Users users) {
        this.node = node;
        this.users = users;
    }

    void routes(Router router) {
        router.add("POST", "/api/auth/login", this::login)
                .add("GET", "/dhis-web-commons-security/logout.action", this::logout)
                .add("POST", "/dhis-web-commons-security/logout.action", this::logout)
                .add("GET", "/api/loginConfig", exchange -> exchange.json(OK, Map.of(
                        "applicationTitle", "DHIS2 simulator", "apiVersion", node.release().toString())));
    }

    private void login(Exchange exchange) throws SQLException, IOException {
        JsonNode body = exchange.body();
        Login login = users.check(body.path("username").asString(null), body.path("password").asString(null));
        if (login == null) {
            exchange.message(UNAUTHORIZED, "Bad credentials");
            return;
        }
        HttpSession old = exchange.request().getSession(false);
        if (old != null) {
            exchange.request().changeSessionId();
        }
        HttpSession session = exchange.request().getSession(true);
        session.setAttribute(Login.ATTRIBUTE, login);
        session.setAttribute(FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME, login.username());
        if (!node.conf().isOn("system.read_only_mode", false)) {
            node.pools().primary().update("update userinfo set lastlogin = now() where userinfoid = ?", login.id());
        }
        exchange.json(OK, Map.of("loginStatus", "SUCCESS", "redirectUrl", "/"));
    }

    private void logout(Exchange exchange) {
        HttpSession session = exchange.request().getSession(false);
        if (session != null) {
            session.invalidate();
        }
        exchange.redirect(Guard.LOGIN_PAGE);
    }
}
