package dhis2simulator.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.stream.Stream;

/** A folder, on a volume that all nodes share. */
final class FolderStore implements FileStore {
    private static final String UNFINISHED = ".upload";
    private final Path root;

    FolderStore(Path root) {
        this.root = root;
        try {
            Files.createDirectories(root);
            Files.delete(Files.createTempFile(root, ".writable", ""));
        } catch (IOException error) {
            throw new IllegalStateException("The file store " + root + " cannot be written to by this process."
                    + " Give it to the user the container runs as: chown -R 65534:65534 " + root, error);
        }
    }

    @Override
    public void put(String key, Path content) throws IOException {
        Path target = path(key);
        Files.createDirectories(target.getParent());
        Path received = Files.createTempFile(target.getParent(), UNFINISHED, "");
        Files.copy(content, received, StandardCopyOption.REPLACE_EXISTING);
        Files.move(received, target, StandardCopyOption.ATOMIC_MOVE);
    }

    @Override
    public byte[] get(String key) throws IOException {
        return exists(key) ? Files.readAllBytes(path(key)) : null;
    }

    @Override
    public boolean exists(String key) {
        return Files.isRegularFile(path(key));
    }

    @Override
    public List<String> list(String prefix) throws IOException {
        Path folder = path(prefix);
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(Files::isRegularFile)
                    .filter(file -> !file.getFileName().toString().startsWith(UNFINISHED))
                    .map(file -> root.relativize(file).toString()).sorted().toList();
        }
    }

    @Override
    public void delete(String key) throws IOException {
        Files.deleteIfExists(path(key));
    }

    private Path path(String key) {
        Path path = root.resolve(key).normalize();
        if (!path.startsWith(root)) {
            throw new IllegalArgumentException(key + " is not within the file store");
        }
        return path;
    }
}
