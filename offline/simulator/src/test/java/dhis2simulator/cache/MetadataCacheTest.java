package dhis2simulator.cache;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class MetadataCacheTest {
    private final MetadataCache cache = new MetadataCache();

    @Test
    void whatIsRememberedIsNotReadAgain() throws SQLException {
        cache.get("unit", "a", () -> "old");
        assertEquals("old", cache.get("unit", "a", () -> "new"));
    }

    @Test
    void aChangeForgetsTheRegionAndTellsThePeers() throws SQLException {
        List<String> told = new ArrayList<>();
        cache.listen(told::add);
        cache.get("unit", "a", () -> "old");
        cache.get("setting", "a", () -> "old");
        cache.changed("unit");
        assertEquals("new", cache.get("unit", "a", () -> "new"));
        assertEquals("old", cache.get("setting", "a", () -> "new"), "other regions stay");
        assertEquals(List.of("unit"), told);
    }

    @Test
    void whatAPeerChangedIsForgottenWithoutAnEcho() throws SQLException {
        List<String> told = new ArrayList<>();
        cache.listen(told::add);
        cache.forget("unit");
        assertEquals(List.of(), told, "two nodes would talk for ever");
    }
}
