package dhis2simulator.database;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which database server answers on a connection.
 *
 * <p>`name` is `primary` for a server that takes writes, else the host of the JDBC URL that has its address;
 * `address` is the server's own.
 */
public record ServedBy(String name, String address) {
    private static final String QUERY =
            "select host(inet_server_addr()) as address, pg_is_in_recovery() as standby";
    private static final Pattern HOSTS = Pattern.compile("jdbc:postgresql://([^/]+)/.*");

    /** Asks the server itself. */
    public static ServedBy on(Connection connection) throws SQLException {
        Map<String, Object> row = Sql.rows(connection, QUERY).get(0);
        String address = String.valueOf(row.get("address"));
        boolean standby = Boolean.TRUE.equals(row.get("standby"));
        return new ServedBy(standby ? hostWith(address, connection.getMetaData().getURL()) : "primary", address);
    }

    private static String hostWith(String address, String url) {
        Matcher found = HOSTS.matcher(url);
        if (found.matches()) {
            for (String each : found.group(1).split(",")) {
                String host = each.replaceFirst(":\\d+$", "");
                if (resolvesTo(host, address)) {
                    return host;
                }
            }
        }
        return address;
    }

    private static boolean resolvesTo(String host, String address) {
        try {
            for (InetAddress one : InetAddress.getAllByName(host)) {
                if (one.getHostAddress().equals(address)) {
                    return true;
                }
            }
            return false;
        } catch (UnknownHostException error) {
            return false;
        }
    }
}
