package dhis2simulator.web;

import dhis2simulator.Node;
import dhis2simulator.database.Uid;
import java.io.IOException;
import java.sql.SQLException;
import java.util.Map;

/** Requests that take as long as a test wants; not of DHIS2. */
final class LoadApi {
    private static final int OK = 200;
    private static final int LONGEST_MILLISECONDS = 30_000;
    private static final String PATH = "/api/simulator/sleep";
    private final Node node;

    LoadApi(Node node) {
        this.node = node;
    }

    void routes(Router router) {
        router.add("GET", PATH, exchange -> sleep(exchange, "")).add("POST", PATH, this::writeAndSleep);
    }

    private void writeAndSleep(Exchange exchange) throws SQLException, IOException, InterruptedException {
        String uid = Uid.fresh();
        node.pools().primary().update("insert into userkeyjsonvalue (userkeyjsonvalueid, uid, created, lastupdated,"
                + " userid, namespace, userkey, encrypted, jbvalue) values (nextval('hibernate_sequence'), ?, now(),"
                + " now(), ?, 'simulator-sleep', ?, false, '{}')", uid, exchange.login().id(), uid);
        sleep(exchange, uid);
    }

    private void sleep(Exchange exchange, String key) throws IOException, InterruptedException {
        int milliseconds = Math.min(exchange.number("ms", 0), LONGEST_MILLISECONDS);
        Thread.sleep(milliseconds);
        exchange.json(OK, Map.of("slept", milliseconds, "key", key, "nodeId", node.id()));
    }
}
