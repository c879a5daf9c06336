package dhis2simulator.conf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class ReleaseTest {
    @Test
    void onlyThe242LineCreatesAnalyticsTablesThroughTheReplica() {
        assertFalse(Release.of("2.41.4").createsAnalyticsTablesThroughReplica());
        assertTrue(Release.of("2.42.5").createsAnalyticsTablesThroughReplica());
        assertFalse(Release.of("2.43.1").createsAnalyticsTablesThroughReplica());
    }

    @Test
    void hikariIsTheDefaultFrom243On() {
        assertFalse(Release.of("2.42.5").hikariByDefault());
        assertTrue(Release.of("2.43.1").hikariByDefault());
    }

    @Test
    void aReleaseShowsAsItWasWritten() {
        assertEquals("2.42.5", Release.of("2.42.5").toString());
    }

    @Test
    void whatIsNoReleaseIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> Release.of("latest"));
    }
}
