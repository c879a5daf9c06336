package dhis2simulator.database;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/** Hands out its members in turn, for ever; it never skips one that does not work. */
public final class RoundRobin<T> {
    private final List<T> members;
    private final AtomicInteger turn = new AtomicInteger();

    /** Takes one member or more. */
    public RoundRobin(List<T> members) {
        if (members.isEmpty()) {
            throw new IllegalArgumentException("nothing to take turns with");
        }
        this.members = List.copyOf(members);
    }

    /** The member whose turn it is. */
    public T next() {
        return members.get(Math.floorMod(turn.getAndIncrement(), members.size()));
    }
}
