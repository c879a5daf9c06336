package dhis2simulator.apps;

import dhis2simulator.conf.Release;
import dhis2simulator.session.Redis;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Installed apps: their files are in the file store all nodes share, and their list in Redis, else in this process.
 *
 * <p>DHIS2 also has, in each node, which namespace of the data store an app protects: for those that the node has
 * installed itself, or has found in the file store at its start or when it was asked to. Here that is the log only.
 */
public final class Apps {
    /** An app that is not installed, with DHIS2's reason. */
    public static final class Refused extends Exception {
        Refused(String message) {
            super(message);
        }
    }

    private static final Logger LOG = LoggerFactory.getLogger(Apps.class);
    private static final JsonMapper JSON = JsonMapper.builder().build();
    private static final String MANIFEST = "manifest.webapp";
    private static final String CACHE = "appCache:";
    private static final int LONGEST_FOLDER = 32;
    private final Path folder;
    private final Release release;
    private final Redis redis;
    private final Map<String, ObjectNode> own = new ConcurrentHashMap<>();

    /** Finds the apps in a file store; `redis` is null where nodes do not share their list. */
    public Apps(Path files, Release release, Redis redis) throws IOException {
        folder = files.resolve("apps");
        this.release = release;
        this.redis = redis;
        reload();
    }

    /** Reads the file store again. */
    public void reload() throws IOException {
        List<ObjectNode> discovered = discover();
        if (release.flushesAppsOnReload()) {
            own.clear();
            if (redis != null) {
                redis.commands().keys(CACHE + "*").forEach(key -> redis.commands().del(key));
            }
        }
        discovered.forEach(this::cache);
        LOG.info("Loaded {} apps.", discovered.size());
    }

    /** All apps, as the API shows them. */
    public Collection<ObjectNode> list() {
        if (redis == null) {
            return own.values();
        }
        return redis.commands().keys(CACHE + "*").stream().map(key -> redis.commands().get(key))
                .map(text -> (ObjectNode) JSON.readTree(text)).toList();
    }

    /** An app, or null. */
    public ObjectNode find(String key) {
        return list().stream().filter(app -> app.path("key").asString().equals(key)).findFirst().orElse(null);
    }

    /** A file of an app, or null. */
    public Path file(ObjectNode app, String name) {
        Path root = folder.getParent().resolve(app.path("folderName").asString());
        Path file = root.resolve(name).normalize();
        return file.startsWith(root) && Files.isRegularFile(file) ? file : null;
    }

    /** Installs a zip file that was uploaded or downloaded under a name. */
    public ObjectNode install(Path zip, String name) throws IOException, Refused {
        try (ZipFile content = new ZipFile(zip.toFile())) {
            List<? extends ZipEntry> entries = content.stream().filter(entry -> !entry.isDirectory()).toList();
            String top = entries.isEmpty() ? "" : entries.get(0).getName().replaceFirst("[^/]*$", "");
            String prefix = entries.stream().allMatch(entry -> entry.getName().startsWith(top)) ? top : "";
            ZipEntry manifest = content.getEntry(prefix + MANIFEST);
            if (manifest == null) {
                throw new Refused("Manifest file missing from zip file");
            }
            ObjectNode app = read(content.getInputStream(manifest));
            String key = app.path("key").asString();
            String namespace = namespace(app);
            if (!namespace.isEmpty() && list().stream().anyMatch(other -> namespace.equals(namespace(other))
                    && !key.equals(other.path("key").asString()))) {
                throw new Refused("Namespace defined in manifest is already in use");
            }
            app.put("folderName", "apps/" + folderName(key, name));
            Path target = folder.getParent().resolve(app.path("folderName").asString());
            for (ZipEntry entry : entries) {
                Path file = target.resolve(entry.getName().substring(prefix.length())).normalize();
                if (!file.startsWith(target)) {
                    throw new Refused("Zip file could not be read");
                }
                Files.createDirectories(file.getParent());
                Files.write(file, content.getInputStream(entry).readAllBytes());
            }
            removeOthers(app);
            cache(app);
            LOG.info("New app {} installed, Install path: {}", app.path("name").asString(), target);
            return app;
        } catch (ZipException error) {
            throw new Refused(release.namesAppsInAnswers() ? "Manifest file missing from zip file"
                    : "Zip file could not be read");
        } catch (JacksonException error) {
            throw new Refused("Invalid JSON in app manifest file");
        }
    }

    private static String namespace(ObjectNode app) {
        return app.path("activities").path("dhis").path("namespace").asString("");
    }

    private String folderName(String key, String name) {
        if (!release.hasRandomAppFolders()) {
            // Another app in a zip file of this name overwrites it.
            return name.substring(0, name.lastIndexOf('.'));
        }
        return key.length() > LONGEST_FOLDER ? key.substring(0, LONGEST_FOLDER - 1) : key + "_" + UUID.randomUUID();
    }

    private void cache(ObjectNode app) {
        String key = app.path("key").asString();
        if (redis == null) {
            own.put(key, app);
        } else {
            redis.commands().set(CACHE + key, app.toString());
        }
    }

    private List<ObjectNode> discover() throws IOException {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> folders = Files.list(folder)) {
            return folders.filter(one -> Files.isRegularFile(one.resolve(MANIFEST))).map(Apps::installed).toList();
        }
    }

    private static ObjectNode installed(Path one) {
        try (InputStream manifest = Files.newInputStream(one.resolve(MANIFEST))) {
            ObjectNode app = read(manifest);
            app.put("folderName", "apps/" + one.getFileName());
            return app;
        } catch (IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }

    private void removeOthers(ObjectNode app) throws IOException {
        for (ObjectNode other : discover()) {
            boolean same = other.path("key").equals(app.path("key"));
            // Before, the same version in another folder stays.
            String what = release.hasRandomAppFolders() ? "folderName" : "version";
            if (same && !other.path(what).equals(app.path(what))) {
                Path root = folder.getParent().resolve(other.path("folderName").asString());
                try (Stream<Path> content = Files.walk(root)) {
                    for (Path path : content.sorted(Comparator.reverseOrder()).toList()) {
                        Files.delete(path);
                    }
                }
            }
        }
    }

    private static ObjectNode read(InputStream manifest) {
        ObjectNode app = (ObjectNode) JSON.readTree(manifest);
        if (!app.has("short_name")) {
            app.set("short_name", app.path("name"));
        }
        String key = app.path("short_name").asString().trim().replaceAll("[^A-Za-z0-9\\s-]", "");
        app.put("key", key.replaceAll("\\s+", "-"));
        app.put("appState", "OK");
        app.put("bundled", false);
        return app;
    }
}
