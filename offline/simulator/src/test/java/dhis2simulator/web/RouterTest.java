package dhis2simulator.web;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.Map;
import org.junit.jupiter.api.Test;

class RouterTest {
    private final Router router = new Router()
            .add("GET", "/", exchange -> {})
            .add("GET", "/api/units/{uid}", exchange -> {})
            .add("POST", "/api/units", exchange -> {});

    @Test
    void variablesAreTakenFromThePath() {
        assertEquals(Map.of("uid", "abc"), router.find("GET", "/api/units/abc").path());
    }

    @Test
    void theVersionInThePathDoesNotMatter() {
        assertEquals(Map.of("uid", "abc"), router.find("GET", "/api/43/units/abc").path());
    }

    @Test
    void methodsAreKeptApart() {
        assertNull(router.find("POST", "/api/units/abc"));
        assertNotNull(router.find("POST", "/api/units"));
    }

    @Test
    void headIsAnsweredLikeGet() {
        assertNotNull(router.find("HEAD", "/"));
    }

    @Test
    void whatIsLongerIsSomethingElse() {
        assertNull(router.find("GET", "/api/units/abc/data"));
    }
}
