package dhis2simulator.web;

import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.sql.SQLException;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Hands each request to its route, and turns what goes wrong into an answer. */
final class Dispatcher extends HttpServlet {
    private static final Logger LOG = LoggerFactory.getLogger(Dispatcher.class);
    private final transient Router router;

    Dispatcher(Router router) {
        this.router = router;
    }

    @Override
    protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
        String path = request.getRequestURI();
        Router.Match match = router.find(request.getMethod(), path);
        if (match == null) {
            new Exchange(request, response, Map.of()).message(HttpServletResponse.SC_NOT_FOUND,
                    "The simulator has no " + request.getMethod() + " " + path);
            return;
        }
        Exchange exchange = new Exchange(request, response, match.path());
        try {
            match.handler().handle(exchange);
        } catch (ApiError error) {
            exchange.json(error.status(), Exchange.message(error.status(), error.getMessage(), error.code()));
        } catch (SQLException error) {
            LOG.error("{} {}: {} {}", request.getMethod(), path, error.getSQLState(), error.getMessage());
            exchange.message(HttpServletResponse.SC_INTERNAL_SERVER_ERROR, "The database does not answer");
        } catch (Exception error) {
            LOG.error("{} {}", request.getMethod(), path, error);
            exchange.message(HttpServletResponse.SC_INTERNAL_SERVER_ERROR, "Internal error");
        }
    }
}
