package dhis2simulator.web;

import dhis2simulator.session.Login;
import dhis2simulator.session.Users;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpFilter;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpSession;
import java.io.IOException;
import java.sql.SQLException;
import java.util.Map;
import java.util.regex.Pattern;
import org.springframework.dao.QueryTimeoutException;
import org.springframework.data.redis.RedisConnectionFailureException;
import org.springframework.data.redis.RedisSystemException;

/** Marks every answer as the simulator's, and lets nobody without a login past the open paths. */
final class Guard extends HttpFilter {
    static final String LOGIN_PAGE = "/dhis-web-login/";
    private static final Pattern OPEN =
            Pattern.compile("(/api(/\\d+)?/(ping|loginConfig|auth/login)|/dhis-web-login/?|/favicon.ico)");
    private final String version;
    private final transient Users users;

    Guard(String version, Users users) {
        this.version = version;
        this.users = users;
    }

    @Override
    protected void doFilter(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws IOException, ServletException {
        response.setHeader("X-DHIS2-Simulator", version);
        response.setHeader("X-Content-Type-Options", "nosniff");
        // Before any look at the session: ping answers also while the cache is dead.
        if (OPEN.matcher(request.getRequestURI()).matches()) {
            chain.doFilter(request, response);
            return;
        }
        Login login;
        try {
            login = loginOf(request);
        } catch (SQLException error) {
            new Exchange(request, response, Map.of()).message(HttpServletResponse.SC_INTERNAL_SERVER_ERROR,
                    "The database does not answer");
            return;
        } catch (RedisSystemException | QueryTimeoutException | RedisConnectionFailureException error) {
            // Not Tomcat's page of an unhandled error, which would not say whose it is.
            new Exchange(request, response, Map.of()).message(HttpServletResponse.SC_INTERNAL_SERVER_ERROR,
                    "The cache does not answer");
            return;
        }
        if (login == null) {
            refuse(new Exchange(request, response, Map.of()));
            return;
        }
        request.setAttribute(Login.ATTRIBUTE, login);
        chain.doFilter(request, response);
    }

    private Login loginOf(HttpServletRequest request) throws SQLException {
        String header = request.getHeader("Authorization");
        if (header != null) {
            return users.basic(header);
        }
        HttpSession session = request.getSession(false);
        return session == null ? null : (Login) session.getAttribute(Login.ATTRIBUTE);
    }

    /** Programs get 401, browsers and whoever does not say what he is are sent to the login page. */
    private static void refuse(Exchange exchange) throws IOException {
        HttpServletRequest request = exchange.request();
        String accepted = String.valueOf(request.getHeader("Accept"));
        boolean program = request.getHeader("Authorization") != null
                || "XMLHttpRequest".equals(request.getHeader("X-Requested-With"))
                || accepted.contains("application/json") && !accepted.contains("text/html");
        if (program) {
            exchange.response().setHeader("WWW-Authenticate", "Basic realm=\"DHIS2\"");
            exchange.message(HttpServletResponse.SC_UNAUTHORIZED, "Unauthorized");
        } else {
            exchange.redirect(LOGIN_PAGE);
        }
    }
}
