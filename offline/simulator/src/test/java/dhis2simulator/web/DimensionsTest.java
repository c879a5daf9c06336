package dhis2simulator.web;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class DimensionsTest {
    @Test
    void everyQuestionMarkHasItsArgument() {
        var asked = Dimensions.of(new String[] {"dx:a;b", "pe:202601;2026"}, new String[] {"ou:root"});
        long places = asked.query(true).chars().filter(letter -> letter == '?').count();
        assertEquals(places, asked.arguments().length);
        assertArrayEquals(new Object[] {"root", "a", "b", "202601", "2026", "202601", "2026"}, asked.arguments());
    }

    @Test
    void filtersAreNotShown() {
        var asked = Dimensions.of(new String[] {"dx:a"}, new String[] {"pe:2026"});
        assertTrue(asked.query(true).endsWith("group by dx having count(*) > 0 order by dx"), asked.query(true));
    }

    @Test
    void withoutDataElementsThereIsNothingToSum() {
        assertThrows(ApiError.class, () -> Dimensions.of(new String[] {"pe:2026"}, null));
    }

    @Test
    void itemsAreNeverPartOfTheStatement() {
        var asked = Dimensions.of(new String[] {"dx:'; drop table datavalue"}, new String[] {"ou:'; drop"});
        assertEquals(-1, asked.query(false).indexOf("drop"));
    }
}
