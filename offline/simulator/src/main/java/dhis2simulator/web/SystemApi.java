package dhis2simulator.web;

import dhis2simulator.Node;
import dhis2simulator.session.Login;
import java.io.IOException;
import java.sql.SQLException;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;

/** What the node says of itself and of who asks. */
final class SystemApi {
    private static final int OK = 200;
    private static final long MEGABYTE = 1 << 20;
    private static final int SHORTEST_PASSWORD = 24;
    private final Node node;

    SystemApi(Node node) {
        this.node = node;
    }

    void routes(Router router) {
        router.add("GET", "/api/ping", exchange -> exchange.response().setContentLength(0))
                .add("GET", "/api/me", this::me)
                .add("GET", "/api/system/ping", exchange -> exchange.send(OK, "text/plain", "pong"))
                .add("GET", "/api/system/info", this::info)
                .add("GET", "/api/cluster/leader", this::leader);
    }

    private void me(Exchange exchange) throws SQLException, IOException {
        Login login = exchange.login();
        Map<String, Object> row = node.pools().primary().first("select uid as id, username,"
                + " firstname as \"firstName\", surname, firstname || ' ' || surname as \"displayName\", email"
                + " from userinfo where userinfoid = ?", login.id());
        Map<String, Object> user = new LinkedHashMap<>(row);
        user.put("authorities", node.pools().primary().rows("select distinct authority from userroleauthorities"
                + " join userrolemembers using (userroleid) where userid = ?", login.id()).stream()
                .map(one -> one.get("authority")).toList());
        exchange.json(OK, user);
    }

    private void info(Exchange exchange) throws SQLException, IOException {
        boolean redis = node.conf().isOn("redis.enabled", false);
        Runtime runtime = Runtime.getRuntime();
        Map<String, Object> info = new LinkedHashMap<>();
        info.put("simulator", true);
        info.put("version", node.release().toString());
        info.put("revision", "simulator");
        info.put("serverDate", Instant.now().toString());
        info.put("contextPath", Links.base(exchange.request()));
        info.put("nodeId", node.id());
        info.put("redisEnabled", redis);
        info.put("redisHostname", redis ? node.conf().get("redis.host", "localhost") : "");
        info.put("readReplicaCount", node.pools().replicaCount());
        info.put("readOnlyMode", node.conf().get("system.read_only_mode", "off"));
        info.put("fileStoreProvider", node.conf().get("filestore.provider", "filesystem"));
        info.put("encryption", encrypts());
        info.put("systemId", systemId());
        info.put("lastAnalyticsTableSuccess", node.settings().get("keyLastSuccessfulAnalyticsTablesUpdate"));
        info.put("cpuCores", runtime.availableProcessors());
        info.put("memoryInfo", "Mem Total in JVM: " + runtime.totalMemory() / MEGABYTE + " Free in JVM: "
                + runtime.freeMemory() / MEGABYTE + " Max Limit: " + runtime.maxMemory() / MEGABYTE);
        info.put("databaseInfo", databaseInfo());
        exchange.json(OK, info);
    }

    private boolean encrypts() {
        int length = node.conf().get("encryption.password", "").length();
        return length >= SHORTEST_PASSWORD;
    }

    private Object systemId() throws SQLException {
        boolean known = node.pools().primary().value("select to_regclass('configuration')::text") != null;
        Object id = known ? node.pools().primary().value("select systemid from configuration") : null;
        return id == null ? "" : id;
    }

    private Map<String, Object> databaseInfo() throws SQLException {
        Map<String, Object> row = node.pools().primary().first("select current_database() as name,"
                + " current_user as \"user\", version() as \"databaseVersion\", now()::text as time");
        Map<String, Object> shown = new LinkedHashMap<>(row);
        shown.put("url", node.conf().require("connection.url").replaceFirst("\\?.*", ""));
        shown.put("spatialSupport", true);
        return shown;
    }

    private void leader(Exchange exchange) throws IOException {
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("leaderNodeId", node.leadership().leaderId());
        answer.put("leaderNodeUuid", node.leadership().leaderUuid());
        answer.put("currentNodeId", node.id());
        answer.put("currentNodeUuid", node.uuid());
        answer.put("leader", node.leadership().isLeader());
        exchange.json(OK, answer);
    }
}
