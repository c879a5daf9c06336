package dhis2simulator.session;

import dhis2simulator.conf.DhisConf;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import io.lettuce.core.resource.ClientResources;
import org.springframework.data.redis.connection.RedisPassword;
import org.springframework.data.redis.connection.RedisStandaloneConfiguration;
import org.springframework.data.redis.connection.lettuce.LettuceClientConfiguration;
import org.springframework.data.redis.connection.lettuce.LettuceConnectionFactory;

/**
 * The cache server of dhis.conf, which must answer at boot.
 *
 * <p>Time-outs are Lettuce's: with a dead cache a command waits a minute, and its request with it.
 */
public final class Redis implements AutoCloseable {
    private final RedisStandaloneConfiguration server;
    private final boolean ssl;
    private final ClientResources resources = ClientResources.create();
    private final RedisClient client;
    private final StatefulRedisConnection<String, String> connection;

    /** Connects; throws RedisConnectionException where nothing answers or the password is wrong. */
    public Redis(DhisConf conf) {
        String host = conf.get("redis.host", "localhost");
        int port = conf.number("redis.port", 6379);
        String password = conf.get("redis.password", "");
        ssl = conf.isOn("redis.use.ssl", false);
        server = new RedisStandaloneConfiguration(host, port);
        server.setPassword(password.isEmpty() ? RedisPassword.none() : RedisPassword.of(password));
        RedisURI.Builder uri = RedisURI.builder().withHost(host).withPort(port).withSsl(ssl);
        if (!password.isEmpty()) {
            uri.withPassword(password.toCharArray());
        }
        client = RedisClient.create(resources, uri.build());
        try {
            connection = client.connect();
            connection.sync().ping();
        } catch (RuntimeException error) {
            close();
            throw error;
        }
    }

    /** Whether dhis.conf asks for a cache server at all. */
    public static boolean wanted(DhisConf conf) {
        return conf.isOn("redis.enabled", false) || conf.isOn("redis.cache.invalidation.enabled", false);
    }

    /** Commands on the shared connection; each waits for its answer. */
    public RedisCommands<String, String> commands() {
        return connection.sync();
    }

    /** A new connection that listens; Lettuce subscribes again by itself after a loss. */
    public StatefulRedisPubSubConnection<String, String> listener() {
        return client.connectPubSub();
    }

    /** A started connection factory for Spring; the caller destroys it. */
    LettuceConnectionFactory factory() {
        var settings = LettuceClientConfiguration.builder().clientResources(resources);
        if (ssl) {
            settings.useSsl();
        }
        var factory = new LettuceConnectionFactory(server, settings.build());
        factory.afterPropertiesSet();
        factory.start();
        return factory;
    }

    @Override
    public void close() {
        client.shutdown();
        resources.shutdown().awaitUninterruptibly();
    }
}
