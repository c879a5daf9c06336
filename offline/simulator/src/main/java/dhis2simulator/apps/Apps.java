package dhis2simulator.apps;

import dhis2simulator.conf.Release;
import dhis2simulator.files.FileStore;
import dhis2simulator.session.Redis;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
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
    private static final int MANIFEST_DEPTH = 3; // apps/folder/manifest.webapp
    private static final int LONGEST_FOLDER = 32;
    private static final String FOLDER = "apps/";
    private final FileStore files;
    private final Release release;
    private final Redis redis;
    private final Map<String, ObjectNode> own = new ConcurrentHashMap<>();

    /** Finds the apps in a file store; `redis` is null where nodes do not share their list. */
    public Apps(FileStore files, Release release, Redis redis) throws IOException {
        this.files = files;
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
    public byte[] file(ObjectNode app, String name) throws IOException {
        return isWithin(name) ? files.get(root(app) + name) : null;
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
            app.put("folderName", FOLDER + folderName(key, name));
            for (ZipEntry entry : entries) {
                String file = entry.getName().substring(prefix.length());
                if (!isWithin(file)) {
                    throw new Refused("Zip file could not be read");
                }
                store(root(app) + file, content.getInputStream(entry));
            }
            removeOthers(app);
            cache(app);
            LOG.info("New app {} installed, Install path: {}", app.path("name").asString(), root(app));
            return app;
        } catch (ZipException error) {
            throw new Refused(release.namesAppsInAnswers() ? "Manifest file missing from zip file"
                    : "Zip file could not be read");
        } catch (JacksonException error) {
            throw new Refused("Invalid JSON in app manifest file");
        }
    }

    private void store(String key, InputStream content) throws IOException {
        Path extracted = Files.createTempFile("app", "");
        try {
            Files.copy(content, extracted, StandardCopyOption.REPLACE_EXISTING);
            files.put(key, extracted);
        } finally {
            Files.delete(extracted);
        }
    }

    private static String root(ObjectNode app) {
        return app.path("folderName").asString() + "/";
    }

    private static boolean isWithin(String name) {
        Path path = Path.of(name).normalize();
        return !path.isAbsolute() && !path.startsWith("..") && path.toString().equals(name);
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
        List<ObjectNode> found = new ArrayList<>();
        for (String key : files.list(FOLDER)) {
            Path path = Path.of(key);
            if (path.getNameCount() == MANIFEST_DEPTH && path.endsWith(MANIFEST)) {
                ObjectNode app = read(new ByteArrayInputStream(files.get(key)));
                app.put("folderName", path.getParent().toString());
                found.add(app);
            }
        }
        return found;
    }

    private void removeOthers(ObjectNode app) throws IOException {
        for (ObjectNode other : discover()) {
            boolean same = other.path("key").equals(app.path("key"));
            // Before, the same version in another folder stays.
            String what = release.hasRandomAppFolders() ? "folderName" : "version";
            if (same && !other.path(what).equals(app.path(what))) {
                for (String key : files.list(root(other))) {
                    files.delete(key);
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
