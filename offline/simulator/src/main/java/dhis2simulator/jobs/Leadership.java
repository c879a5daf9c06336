package dhis2simulator.jobs;

import dhis2simulator.session.Redis;
import io.lettuce.core.SetArgs;

/**
 * Which node runs the jobs. It holds a key in Redis that lives 30 s without renewal.
 *
 * <p>Without Redis every node takes itself for the leader, as in DHIS2. A primary leader takes the key from others.
 */
public final class Leadership {
    private static final String UUID_KEY = "dhis2:leaderUuid";
    private static final String ID_KEY = "dhis2:leaderId";
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
    }

    /** Takes or keeps the key where it is free, this node's or due to it; says whether this node leads. */
    public boolean renew() {
        if (redis == null) {
            return true;
        }
        SetArgs lives = SetArgs.Builder.ex(SECONDS_TO_LIVE);
        boolean leads = primaryLeader || isLeader();
        if (leads) {
            redis.commands().set(UUID_KEY, uuid, lives);
        } else {
            leads = redis.commands().set(UUID_KEY, uuid, SetArgs.Builder.nx().ex(SECONDS_TO_LIVE)) != null;
        }
        if (leads) {
            redis.commands().set(ID_KEY, id, lives);
        }
        return leads;
    }

    /** Whether this node leads right now. */
    public boolean isLeader() {
        return uuid.equals(leaderUuid());
    }

    /** The leader's uuid; null for a moment when it was lost. */
    public String leaderUuid() {
        return redis == null ? uuid : redis.commands().get(UUID_KEY);
    }

    /** The leader's `node.id`. */
    public String leaderId() {
        return redis == null ? id : redis.commands().get(ID_KEY);
    }
}
