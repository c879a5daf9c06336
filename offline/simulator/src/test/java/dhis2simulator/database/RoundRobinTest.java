package dhis2simulator.database;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;

class RoundRobinTest {
    @Test
    void eachTakesItsTurn() {
        var turns = new RoundRobin<>(List.of("a", "b", "c"));
        assertEquals(List.of("a", "b", "c", "a"), List.of(turns.next(), turns.next(), turns.next(), turns.next()));
    }

    @Test
    void nobodyCannotTakeTurns() {
        assertThrows(IllegalArgumentException.class, () -> new RoundRobin<>(List.of()));
    }
}
