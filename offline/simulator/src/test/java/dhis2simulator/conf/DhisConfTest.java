package dhis2simulator.conf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DhisConfTest {
    private static DhisConf conf(String text) {
        return new DhisConf(text, Map.of("HOSTNAME", "core-2"));
    }

    @Test
    void variablesComeFromTheEnvironment() {
        assertEquals("core-2", conf("node.id = ${HOSTNAME}").get("node.id", ""), "one file serves all nodes");
    }

    @Test
    void anUnsetVariableFallsBackToItsDefault() {
        assertEquals("one", conf("node.id = ${NOBODY:-one}").get("node.id", ""));
    }

    @Test
    void anUnsetVariableWithoutDefaultStays() {
        assertEquals("${NOBODY}", conf("node.id = ${NOBODY}").get("node.id", ""), "the mistake must be visible");
    }

    @ParameterizedTest
    @ValueSource(strings = {"on", "ON", "true", "True"})
    void onAndTrueSwitchOn(String value) {
        assertTrue(conf("redis.enabled = " + value).isOn("redis.enabled", false));
    }

    @ParameterizedTest
    @ValueSource(strings = {"off", "yes", "1", "false"})
    void everythingElseSwitchesOff(String value) {
        assertFalse(conf("redis.enabled = " + value).isOn("redis.enabled", true));
    }

    @Test
    void aBlankValueIsNoValue() {
        assertEquals("6379", conf("redis.port =").get("redis.port", "6379"));
    }

    @Test
    void whatIsNoNumberIsRefusedByName() {
        var error = assertThrows(IllegalStateException.class, () -> conf("redis.port = x").number("redis.port", 1));
        assertTrue(error.getMessage().contains("redis.port"), "the person must find the line");
    }

    @Test
    void aShortEncryptionPasswordIsOnlyWarnedAbout() {
        assertEquals(1, conf("encryption.password = short").warnings().size());
        assertEquals(0, conf("encryption.password = 123456789012345678901234").warnings().size());
    }

    @ParameterizedTest
    @ValueSource(strings = {"http://localhost", "example.org", "https://example.org/", "ftp://example.org"})
    void aBaseUrlNobodyCanFollowIsWarnedAbout(String url) {
        assertEquals(1, conf("server.base.url = " + url).warnings().size());
    }
}
