package dhis2simulator.files;

import dhis2simulator.conf.DhisConf;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** Uploaded files and apps by their keys, which look like paths. All nodes have the same one. */
public interface FileStore extends AutoCloseable {
    /** Opens the store that dhis.conf names; as in DHIS2 the node does not start without it. */
    static FileStore of(DhisConf conf, Path home) {
        String provider = conf.get("filestore.provider", "filesystem");
        String container = conf.get("filestore.container", "files");
        return switch (provider) {
            case "filesystem" -> new FolderStore(home.resolve(container));
            case "s3", "aws-s3" -> new BucketStore(conf, container);
            default -> throw new IllegalArgumentException(
                    "Configuration contains unsupported file store provider '" + provider + "'.");
        };
    }

    /** Stores the content of a file, which others see as a whole or not at all. */
    void put(String key, Path content) throws IOException;

    /** The content, or null. */
    byte[] get(String key) throws IOException;

    /** Whether there is such a key. */
    boolean exists(String key) throws IOException;

    /** All keys that begin with a text ending in a slash. */
    List<String> list(String prefix) throws IOException;

    /** Removes a key, also one that does not exist. */
    void delete(String key) throws IOException;

    @Override
    default void close() {
        // nothing to close
    }
}
