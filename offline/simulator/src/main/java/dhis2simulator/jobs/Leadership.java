package dhis2simulator.jobs;

import dhis2simulator.session.Redis;
import io.lettuce.core.SetArgs;

/**
 * Which node runs the jobs. It holds a key in Redis that lives 30 s without renewal; another key has its name.
 *
 * <p>Without Redis every node takes itself for the leader, as in DHIS2. A primary leader takes the key from others.
 */
public final class Leadership {
    private static final String KEY = "dhis2:leader";
    private static final String ID_KEY_PREFIX = "dhis2:leader:";
    private static final long SECONDS_TO_LIVE = 30;
    private final Redis redis;
    private final String id;
    private final String uuid;
    private final boolean primaryLeader;

    /** Leadership of this node; `redis` is null on a node by itself. */
    public Leadership(Redis redis, String id, String uuid, boolean primaryLeader) {
        this.redis = redis;
        this.id = id;
        this.uuid = uuid;
        this.primaryLeader = primaryLeader;
        if (redis != null) {
            redis.commands().set(ID_KEY_PREFIX + uuid, id);
        }
    }

    /** Takes or keeps the key where it is free, this node's or due to it; says whether this node leads. */
    public boolean renew() {
        if (redis == null) {
            return true;
        }
        if (primaryLeader || isLeader()) {
            redis.commands().set(KEY, uuid, SetArgs.Builder.ex(SECONDS_TO_LIVE));
            return true;
        }
        return redis.commands().set(KEY, uuid, SetArgs.Builder.nx().ex(SECONDS_TO_LIVE)) != null;
    }

    /** Whether this node leads right now. */
    public boolean isLeader() {
        return uuid.equals(leaderUuid());
    }

    /** The leader's uuid; null for a moment when it was lost. */
    public String leaderUuid() {
        return redis == null ? uuid : redis.commands().get(KEY);
    }

    /** The leader's `node.id`. */
    public String leaderId() {
        if (redis == null) {
            return id;
        }
        String leader = leaderUuid();
        return leader == null ? null : redis.commands().get(ID_KEY_PREFIX + leader);
    }
}
