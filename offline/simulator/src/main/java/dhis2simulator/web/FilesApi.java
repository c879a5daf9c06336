package dhis2simulator.web;

import dhis2simulator.Node;
import dhis2simulator.database.Uid;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.Part;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.SQLException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.core.exception.SdkException;

/**
 * Uploads: the row in the database, the content in the file store all nodes share.
 *
 * <p>As in DHIS2 the answer comes first and the content is stored a moment later, so the status is PENDING until then.
 */
final class FilesApi {
    private static final int OK = 200;
    private static final int ACCEPTED = 202;
    private static final int NOT_FOUND = 404;
    private static final int CONFLICT = 409;
    private static final int MULTIPART_MISSING = 415;
    private static final int ERROR = 500;
    private static final long MILLISECONDS_PENDING = 500;
    private static final Logger LOG = LoggerFactory.getLogger(FilesApi.class);
    private static final String DEFAULT_DOMAIN = "DATA_VALUE";
    private final Node node;

    FilesApi(Node node) {
        this.node = node;
    }

    void routes(Router router) {
        router.add("POST", "/api/fileResources", this::upload)
                .add("GET", "/api/fileResources/{uid}", this::show)
                .add("GET", "/api/fileResources/{uid}/data", this::download);
    }

    private void upload(Exchange exchange) throws SQLException, IOException, NoSuchAlgorithmException {
        Part part = part(exchange);
        String domain = exchange.parameter("domain", DEFAULT_DOMAIN);
        if (!domain.matches("[A-Z_]{1,40}")) {
            throw new ApiError(CONFLICT, "There is no such domain");
        }
        String key = domain.toLowerCase(Locale.ROOT).replace("_", "") + "/" + UUID.randomUUID();
        Path received = Files.createTempFile("upload", "");
        // DHIS2's column is for MD5; nothing depends on its strength.
        MessageDigest digest = MessageDigest.getInstance("MD5");
        try (InputStream content = new DigestInputStream(part.getInputStream(), digest)) {
            Files.copy(content, received, StandardCopyOption.REPLACE_EXISTING);
        }
        String uid = Uid.fresh();
        String name = part.getSubmittedFileName() == null ? "file" : part.getSubmittedFileName();
        String kind = part.getContentType() == null ? "application/octet-stream" : part.getContentType();
        node.pools().primary().update("insert into fileresource (fileresourceid, uid, created, lastupdated, name,"
                + " contenttype, contentlength, contentmd5, storagekey, isassigned, domain, userid,"
                + " hasmultiplestoragefiles) values (nextval('hibernate_sequence'), ?, now(), now(), left(?, 230),"
                + " left(?, 255), ?, ?, ?, false, ?, ?, false)", uid, name, kind, part.getSize(),
                HexFormat.of().formatHex(digest.digest()), key, domain, exchange.login().id());
        CompletableFuture.delayedExecutor(MILLISECONDS_PENDING, TimeUnit.MILLISECONDS)
                .execute(() -> store(received, key));
        Map<String, Object> resource = Map.of("id", uid, "name", name, "contentType", kind,
                "contentLength", part.getSize(), "domain", domain, "storageStatus", "PENDING");
        exchange.json(ACCEPTED, Map.of("httpStatus", "Accepted", "httpStatusCode", ACCEPTED, "status", "OK",
                "response", Map.of("responseType", "FileResource", "fileResource", resource)));
    }

    private void store(Path received, String key) {
        try {
            node.files().put(key, received);
            Files.delete(received);
        } catch (IOException | SdkException error) {
            LOG.error("{} was not stored", key, error);
        }
    }

    private static Part part(Exchange exchange) throws IOException {
        try {
            Part part = exchange.request().getPart("file");
            if (part == null) {
                throw new ApiError(CONFLICT, "The upload has no part named file");
            }
            return part;
        } catch (ServletException error) {
            throw new ApiError(MULTIPART_MISSING, "An upload must be multipart/form-data");
        } catch (IllegalStateException error) {
            throw new ApiError(CONFLICT, "The file is larger than max.file_upload_size");
        }
    }

    private void show(Exchange exchange) throws SQLException, IOException {
        Map<String, Object> resource = new LinkedHashMap<>(found(exchange));
        boolean stored = node.files().exists((String) resource.get("storageKey"));
        resource.put("storageStatus", stored ? "STORED" : "PENDING");
        exchange.json(OK, resource);
    }

    private void download(Exchange exchange) throws SQLException, IOException {
        Map<String, Object> row = found(exchange);
        byte[] content = node.files().get((String) row.get("storageKey"));
        if (content == null) {
            throw new ApiError(ERROR, "Failed fetching the file from storage");
        }
        exchange.response().setContentType((String) row.get("contentType"));
        exchange.response().setContentLength(content.length);
        exchange.response().getOutputStream().write(content);
    }

    private Map<String, Object> found(Exchange exchange) throws SQLException {
        Map<String, Object> row = node.pools().primary().first("select uid as id, name,"
                + " contenttype as \"contentType\", contentlength as \"contentLength\", contentmd5 as \"contentMd5\","
                + " storagekey as \"storageKey\", domain from fileresource where uid = ?", exchange.path().get("uid"));
        if (row == null) {
            throw new ApiError(NOT_FOUND, "There is no such file resource");
        }
        return row;
    }
}
