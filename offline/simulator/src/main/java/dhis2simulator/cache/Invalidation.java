package dhis2simulator.cache;

import dhis2simulator.session.Redis;
import io.lettuce.core.pubsub.RedisPubSubAdapter;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Tells the peers what changed, and hears it from them, on DHIS2's channel. A message is `sender update region`. */
public final class Invalidation implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Invalidation.class);
    private static final String CHANNEL = "dhis2_cache_invalidation";
    private final StatefulRedisPubSubConnection<String, String> connection;

    /** Connects a cache to those of the peers; `uuid` is this node's. */
    public Invalidation(Redis redis, MetadataCache cache, String uuid) {
        connection = redis.listener();
        connection.addListener(new RedisPubSubAdapter<>() {
            @Override
            public void message(String channel, String message) {
                String[] words = message.split(" ");
                if (words.length == 3 && !words[0].equals(uuid)) {
                    LOG.debug("{} changed {}", words[0], words[2]);
                    cache.forget(words[2]);
                }
            }
        });
        connection.sync().subscribe(CHANNEL);
        cache.listen(region -> redis.commands().publish(CHANNEL, uuid + " update " + region));
        LOG.info("Cache invalidation is on, channel {}", CHANNEL);
    }

    @Override
    public void close() {
        connection.close();
    }
}
