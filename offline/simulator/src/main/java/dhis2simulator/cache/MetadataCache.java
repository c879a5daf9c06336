package dhis2simulator.cache;

import java.sql.SQLException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What this process remembers of metadata, as Hibernate does inside DHIS2: for ever, until it is told otherwise.
 *
 * <p>A region is a kind of object, e.g. `organisationUnit`; the key within says which object or which list.
 */
public final class MetadataCache {
    private static final int MOST_ENTRIES = 2_000;
    private final Map<String, Object> entries = Collections.synchronizedMap(new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Object> eldest) {
            return size() > MOST_ENTRIES;
        }
    });
    private volatile Listener listener = region -> {};

    /** Told when this process has changed something. */
    @FunctionalInterface
    public interface Listener {
        /** Something in the region is new. */
        void changed(String region);
    }

    /** Reads what is not remembered; null is not remembered. */
    @FunctionalInterface
    public interface Loader<T> {
        /** Reads from the database. */
        T load() throws SQLException;
    }

    /** Returns what is remembered, else loads and remembers it. */
    @SuppressWarnings("unchecked")
    public <T> T get(String region, String key, Loader<T> loader) throws SQLException {
        String name = region + "/" + key;
        T found = (T) entries.get(name);
        if (found == null) {
            found = loader.load();
            if (found != null) {
                entries.put(name, found);
            }
        }
        return found;
    }

    /** Forgets a region here, and has the peers forget it where invalidation is on. */
    public void changed(String region) {
        forget(region);
        listener.changed(region);
    }

    /** Forgets a region here only. */
    public void forget(String region) {
        synchronized (entries) {
            entries.keySet().removeIf(key -> key.startsWith(region + "/"));
        }
    }

    /** Forgets everything here only. */
    public void clear() {
        entries.clear();
    }

    void listen(Listener told) {
        listener = told;
    }
}
