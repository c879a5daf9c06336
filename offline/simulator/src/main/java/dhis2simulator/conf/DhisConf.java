package dhis2simulator.conf;

import java.io.IOException;
import java.io.Reader;
import java.io.StringReader;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import org.apache.commons.text.StringSubstitutor;
import org.apache.commons.text.lookup.StringLookupFactory;

/** What dhis.conf says, with values of the environment put in; keys nobody asks for are ignored. */
public final class DhisConf {
    private static final int SHORTEST_ENCRYPTION_PASSWORD = 24;
    private final Properties properties = new Properties();

    /** Reads properties text; `${VAR}` and `${VAR:-default}` in values are taken from `environment`. */
    public DhisConf(String text, Map<String, String> environment) {
        try (Reader reader = new StringReader(text)) {
            properties.load(reader);
        } catch (IOException error) {
            throw new IllegalStateException("Properties could not be loaded: " + error.getMessage(), error);
        }
        var substitutor = new StringSubstitutor(StringLookupFactory.INSTANCE.mapStringLookup(environment));
        properties.replaceAll((key, value) -> substitutor.replace(value));
    }

    /** Reads `dhis.conf` of a home folder with this process's environment. */
    public static DhisConf of(Path home) {
        Path file = home.resolve("dhis.conf");
        try {
            return new DhisConf(Files.readString(file), System.getenv());
        } catch (IOException error) {
            throw new IllegalStateException("Properties could not be loaded: " + file + " cannot be read", error);
        }
    }

    /** The trimmed value, or the default where the key is absent or blank. */
    public String get(String key, String otherwise) {
        String value = properties.getProperty(key, "").trim();
        return value.isEmpty() ? otherwise : value;
    }

    /** The value; throws IllegalStateException where the key is absent. */
    public String require(String key) {
        String value = get(key, "");
        if (value.isEmpty()) {
            throw new IllegalStateException("dhis.conf: " + key + " is missing");
        }
        return value;
    }

    /** Whether a switch is `on` or `true`. */
    public boolean isOn(String key, boolean otherwise) {
        String value = get(key, otherwise ? "on" : "off").toLowerCase(Locale.ROOT);
        return value.equals("on") || value.equals("true");
    }

    /** The value as a number; throws IllegalStateException naming the key where it is none. */
    public int number(String key, int otherwise) {
        String value = get(key, String.valueOf(otherwise));
        try {
            return Integer.parseInt(value);
        } catch (NumberFormatException error) {
            throw new IllegalStateException("dhis.conf: " + key + " is not a number: " + value, error);
        }
    }

    /** What DHIS2 would warn about and live with. */
    public List<String> warnings() {
        List<String> found = new ArrayList<>();
        String password = get("encryption.password", "");
        if (!password.isEmpty() && password.length() < SHORTEST_ENCRYPTION_PASSWORD) {
            found.add("Encryption not configured: encryption.password is shorter than "
                    + SHORTEST_ENCRYPTION_PASSWORD + " characters");
        }
        String url = get("server.base.url", "");
        if (!url.isEmpty() && !isBaseUrl(url)) {
            found.add("server.base.url is invalid, links in messages will be wrong: " + url);
        }
        return found;
    }

    /** An absolute http or https URL without trailing slash; like DHIS2, a host name without a dot is refused. */
    private static boolean isBaseUrl(String url) {
        try {
            URI uri = new URI(url);
            String host = uri.getHost();
            boolean web = "http".equals(uri.getScheme()) || "https".equals(uri.getScheme());
            return web && host != null && host.contains(".") && !url.endsWith("/");
        } catch (URISyntaxException error) {
            return false;
        }
    }
}
