package dhis2simulator.conf;

import java.nio.file.Files;
import java.nio.file.Path;

/** DHIS2_HOME: the folder with dhis.conf and the file store. */
public final class Home {
    private static final String DEFAULT = "/opt/dhis2";

    private Home() {}

    /**
     * Finds the home as DHIS2 does: system property, environment, default.
     *
     * @throws IllegalStateException when it is no folder this process may write to
     */
    public static Path find() {
        String named = System.getProperty("dhis2.home", System.getenv().getOrDefault("DHIS2_HOME", DEFAULT));
        Path home = Path.of(named);
        if (!Files.isDirectory(home) || !Files.isWritable(home)) {
            throw new IllegalStateException("Properties could not be loaded: " + home
                    + " is no directory that this process can write to");
        }
        return home;
    }
}
