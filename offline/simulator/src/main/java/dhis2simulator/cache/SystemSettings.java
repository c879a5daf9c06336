package dhis2simulator.cache;

import dhis2simulator.conf.Release;
import dhis2simulator.database.Sql;
import dhis2simulator.session.Redis;
import io.lettuce.core.SetArgs;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * DHIS2's system settings, remembered as each release does.
 *
 * <p>From 2.42 on all of them are in a field of the process, which only a change at the same node drops: the peers
 * answer with the old values until they are restarted. Before, each setting is in Redis, for all nodes.
 */
public final class SystemSettings {
    /** The keys the simulator knows, with DHIS2's defaults. */
    static final Map<String, String> DEFAULTS = defaults();
    private static final String REDIS_KEY = "systemSetting:";
    private static final SetArgs LIFE = SetArgs.Builder.ex(Duration.ofHours(12));
    private final Sql primary;
    private final Redis shared;
    private volatile Map<String, String> all;

    /** Settings of a database; `redis` is null on a node by itself. */
    public SystemSettings(Sql primary, Release release, Redis redis) {
        this.primary = primary;
        this.shared = release.sharesSystemSettings() ? redis : null;
    }

    /** Whether there is a setting of that name. */
    public static boolean knows(String key) {
        return DEFAULTS.containsKey(key);
    }

    /** The value a setting has for this node. */
    public String get(String key) throws SQLException {
        if (shared == null) {
            return remembered().getOrDefault(key, DEFAULTS.get(key));
        }
        String value = shared.commands().get(REDIS_KEY + key);
        if (value == null) {
            value = stored().getOrDefault(key, DEFAULTS.get(key));
            shared.commands().set(REDIS_KEY + key, value, LIFE);
        }
        return value;
    }

    /** All settings, defaults included. */
    public Map<String, String> all() throws SQLException {
        Map<String, String> values = new TreeMap<>();
        for (String key : DEFAULTS.keySet()) {
            values.put(key, get(key));
        }
        return values;
    }

    /** Stores settings; an empty value removes its setting. As in DHIS2, this drops what the node remembers always. */
    public void put(Map<String, String> values) throws SQLException {
        primary.together(connection -> {
            for (var one : values.entrySet()) {
                store(connection, one.getKey(), one.getValue());
            }
            return null;
        });
        forget(values.keySet());
    }

    /** Removes a setting; as in DHIS2, a node that has removed nothing remembers on. */
    public void remove(String key) throws SQLException {
        if (primary.update("delete from systemsetting where name = ?", key) > 0) {
            forget(Set.of(key));
        }
    }

    private void forget(Set<String> keys) {
        all = null;
        if (shared != null) {
            keys.forEach(key -> shared.commands().del(REDIS_KEY + key));
        }
    }

    private Map<String, String> remembered() throws SQLException {
        Map<String, String> known = all;
        if (known == null) {
            known = stored();
            all = known;
        }
        return known;
    }

    private Map<String, String> stored() throws SQLException {
        Map<String, String> values = new LinkedHashMap<>();
        for (var row : primary.rows("select name, value from systemsetting where value is not null")) {
            values.put((String) row.get("name"), (String) row.get("value"));
        }
        return values;
    }

    private static void store(Connection connection, String key, String value) throws SQLException {
        if (value == null || value.isEmpty()) {
            Sql.update(connection, "delete from systemsetting where name = ?", key);
        } else {
            Sql.update(connection, "insert into systemsetting (systemsettingid, name, value)"
                    + " values (nextval('hibernate_sequence'), ?, ?)"
                    + " on conflict (name) do update set value = excluded.value", key, value);
        }
    }

    private static Map<String, String> defaults() {
        String never = "1970-01-01T00:00:00.000";
        Map<String, String> values = new TreeMap<>();
        values.put("applicationTitle", "DHIS 2");
        values.put("keyApplicationIntro", "");
        values.put("keyApplicationNotification", "");
        values.put("keyApplicationFooter", "");
        values.put("startModule", "dhis-web-dashboard");
        values.put("keyEmailHostName", "");
        values.put("keyEmailPort", "587");
        values.put("minPasswordLength", "8");
        values.put("maxPasswordLength", "72");
        values.put("keyAnalyticsMaxLimit", "100000");
        values.put("keySqlViewMaxLimit", "-1");
        values.put("keyLastSuccessfulAnalyticsTablesUpdate", never);
        values.put("keyLastSuccessfulMonitoring", never);
        values.put("keySystemNotificationsEmail", "");
        return values;
    }
}
