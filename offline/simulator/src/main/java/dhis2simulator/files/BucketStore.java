package dhis2simulator.files;

import dhis2simulator.conf.DhisConf;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.checksums.RequestChecksumCalculation;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3ClientBuilder;
import software.amazon.awssdk.services.s3.model.BucketAlreadyOwnedByYouException;
import software.amazon.awssdk.services.s3.model.NoSuchKeyException;
import software.amazon.awssdk.services.s3.model.S3Object;

/** A bucket of an S3 server; as in DHIS2 it is created at the start, unless it is there and its own. */
final class BucketStore implements FileStore {
    private static final Logger LOG = LoggerFactory.getLogger(BucketStore.class);
    private final S3Client client;
    private final String bucket;

    BucketStore(DhisConf conf, String bucket) {
        this.bucket = bucket;
        client = client(conf);
        String provider = conf.get("filestore.provider", "");
        try {
            client.createBucket(request -> request.bucket(bucket));
        } catch (BucketAlreadyOwnedByYouException error) {
            LOG.debug("{} is there", bucket);
        } catch (SdkException error) {
            client.close();
            throw new IllegalStateException("The file store with provider: '" + provider + "', container: '" + bucket
                    + "' could not be configured: " + error.getMessage(), error);
        }
        LOG.info("File store configured with provider: '{}', container: '{}' and location: '{}'.", provider, bucket,
                conf.get("filestore.location", ""));
    }

    private static S3Client client(DhisConf conf) {
        var keys = AwsBasicCredentials.create(conf.require("filestore.identity"), conf.require("filestore.secret"));
        S3ClientBuilder builder = S3Client.builder()
                .httpClientBuilder(UrlConnectionHttpClient.builder())
                .region(region(conf.get("filestore.location", "")))
                .credentialsProvider(StaticCredentialsProvider.create(keys))
                // What every S3 server understands.
                .requestChecksumCalculation(RequestChecksumCalculation.WHEN_REQUIRED)
                .serviceConfiguration(s3 -> s3.pathStyleAccessEnabled(true).chunkedEncodingEnabled(false));
        String endpoint = conf.get("filestore.endpoint", "");
        // Up to 2.43, DHIS2 uses it with the provider s3 only.
        if (conf.get("filestore.provider", "").equals("s3") && !endpoint.isEmpty()) {
            builder.endpointOverride(URI.create(endpoint));
        }
        return builder.build();
    }

    /** The region of a location; jclouds, which DHIS2 has up to 2.43, calls the first one us-standard. */
    static Region region(String location) {
        return location.isEmpty() || location.equals("us-standard") ? Region.US_EAST_1 : Region.of(location);
    }

    @Override
    public void put(String key, Path content) {
        client.putObject(request -> request.bucket(bucket).key(key), RequestBody.fromFile(content));
    }

    @Override
    public byte[] get(String key) {
        try {
            return client.getObjectAsBytes(request -> request.bucket(bucket).key(key)).asByteArray();
        } catch (NoSuchKeyException error) {
            return null;
        }
    }

    @Override
    public boolean exists(String key) {
        try {
            client.headObject(request -> request.bucket(bucket).key(key));
            return true;
        } catch (NoSuchKeyException error) {
            return false;
        }
    }

    @Override
    public List<String> list(String prefix) {
        return client.listObjectsV2Paginator(request -> request.bucket(bucket).prefix(prefix)).contents().stream()
                .map(S3Object::key).toList();
    }

    @Override
    public void delete(String key) {
        client.deleteObject(request -> request.bucket(bucket).key(key));
    }

    @Override
    public void close() {
        client.close();
    }
}
