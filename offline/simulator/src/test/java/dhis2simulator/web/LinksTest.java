package dhis2simulator.web;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class LinksTest {
    @Test
    void withoutAProxyTheRequestCounts() {
        assertEquals("http://core-1:8080", Links.base("http", "core-1", 8080, null, null));
    }

    @Test
    void schemeAndPortComeFromTheProxy() {
        assertEquals("https://example.org", Links.base("http", "example.org", 80, "https", "443"));
        assertEquals("https://example.org:8443", Links.base("http", "example.org", 80, "https", "8443"));
    }

    @Test
    void nonsenseFromTheProxyIsIgnored() {
        assertEquals("http://example.org", Links.base("http", "example.org", 80, "gopher", "x"));
    }
}
