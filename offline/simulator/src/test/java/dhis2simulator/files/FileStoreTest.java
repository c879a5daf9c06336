package dhis2simulator.files;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dhis2simulator.conf.DhisConf;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import software.amazon.awssdk.regions.Region;

class FileStoreTest {
    private static final byte[] CONTENT = "content".getBytes(StandardCharsets.UTF_8);
    private final Map<String, byte[]> objects = new TreeMap<>();
    private final List<String> requests = new ArrayList<>();
    private int bucketStatus = 200;
    private String bucketCode = "";
    private HttpServer server;
    @TempDir
    private Path folder;

    @AfterEach
    void stop() {
        if (server != null) {
            server.stop(0);
        }
    }

    @Test
    void aFolderKeepsFiles() throws IOException {
        keeps(FileStore.of(new DhisConf("", Map.of()), folder));
        assertArrayEquals(CONTENT, Files.readAllBytes(folder.resolve("files/apps/one/b")));
    }

    @Test
    void aKeyStaysWithinTheFolder() throws IOException {
        FileStore store = FileStore.of(new DhisConf("", Map.of()), folder);
        assertThrows(IllegalArgumentException.class, () -> store.get("../secret"));
    }

    @Test
    void aBucketKeepsFiles() throws IOException {
        try (FileStore store = bucket()) {
            assertEquals("PUT /dhis2", requests.get(0), "it is created at the start");
            keeps(store);
        }
    }

    @Test
    void aBucketThatIsThereAndItsOwnIsUsed() throws IOException {
        bucketStatus = 409;
        bucketCode = "BucketAlreadyOwnedByYou";
        try (FileStore store = bucket()) {
            assertFalse(store.exists("apps/one/b"));
        }
    }

    @Test
    void nothingStartsWithoutTheBucket() {
        bucketStatus = 403;
        bucketCode = "InvalidAccessKeyId";
        var error = assertThrows(IllegalStateException.class, this::bucket);
        assertTrue(error.getMessage().contains("InvalidAccessKeyId"), error.getMessage());
    }

    @Test
    void anUnknownProviderIsRefused() {
        var conf = new DhisConf("filestore.provider = ftp", Map.of());
        assertThrows(IllegalArgumentException.class, () -> FileStore.of(conf, folder));
    }

    @Test
    void theFirstRegionHasTwoNames() {
        assertEquals(Region.US_EAST_1, BucketStore.region(""));
        assertEquals(Region.US_EAST_1, BucketStore.region("us-standard"));
        assertEquals(Region.EU_WEST_1, BucketStore.region("eu-west-1"));
    }

    private void keeps(FileStore store) throws IOException {
        Path content = Files.write(folder.resolve("content"), CONTENT);
        assertNull(store.get("apps/one/b"));
        store.put("apps/one/b", content);
        store.put("apps/two/a", content);
        assertTrue(store.exists("apps/one/b"));
        assertFalse(store.exists("apps/one"));
        assertArrayEquals(CONTENT, store.get("apps/one/b"));
        assertEquals(List.of("apps/one/b", "apps/two/a"), store.list("apps/"));
        store.delete("apps/two/a");
        assertEquals(List.of("apps/one/b"), store.list("apps/"));
        assertEquals(List.of(), store.list("other/"));
    }

    private FileStore bucket() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", this::respond);
        server.start();
        String text = "filestore.provider = s3\nfilestore.container = dhis2\nfilestore.identity = key\n"
                + "filestore.secret = secret\nfilestore.endpoint = http://127.0.0.1:" + server.getAddress().getPort();
        return FileStore.of(new DhisConf(text, Map.of()), folder);
    }

    /** What S3 answers. */
    private void respond(HttpExchange exchange) throws IOException {
        String path = exchange.getRequestURI().getPath();
        requests.add(exchange.getRequestMethod() + " " + path);
        byte[] received = exchange.getRequestBody().readAllBytes();
        String key = path.replaceFirst("^/dhis2/?", "");
        boolean ofBucket = key.isEmpty();
        switch (exchange.getRequestMethod()) {
            case "PUT" -> {
                if (ofBucket) {
                    answer(exchange, bucketStatus, error(bucketCode));
                    return;
                }
                objects.put(key, received);
                answer(exchange, 200, new byte[0]);
            }
            case "DELETE" -> {
                objects.remove(key);
                answer(exchange, 204, new byte[0]);
            }
            default -> {
                if (ofBucket) {
                    answer(exchange, 200, listed(exchange.getRequestURI().getQuery()));
                } else if (objects.containsKey(key)) {
                    answer(exchange, 200, objects.get(key));
                } else {
                    answer(exchange, 404, error("NoSuchKey"));
                }
            }
        }
    }

    private byte[] listed(String query) {
        StringBuilder text = new StringBuilder("<ListBucketResult><IsTruncated>false</IsTruncated>");
        String prefix = query.replaceFirst(".*prefix=([^&]*).*", "$1");
        objects.keySet().stream().filter(key -> key.startsWith(prefix))
                .forEach(key -> text.append("<Contents><Key>").append(key).append("</Key></Contents>"));
        return text.append("</ListBucketResult>").toString().getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] error(String code) {
        return code.isEmpty() ? new byte[0]
                : ("<Error><Code>" + code + "</Code><Message>" + code + "</Message></Error>")
                        .getBytes(StandardCharsets.UTF_8);
    }

    private static void answer(HttpExchange exchange, int status, byte[] content) throws IOException {
        boolean head = exchange.getRequestMethod().equals("HEAD");
        exchange.sendResponseHeaders(status, head || content.length == 0 ? -1 : content.length);
        if (!head) {
            exchange.getResponseBody().write(content);
        }
        exchange.close();
    }
}
