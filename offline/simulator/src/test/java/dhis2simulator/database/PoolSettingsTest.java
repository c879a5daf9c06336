package dhis2simulator.database;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dhis2simulator.conf.DhisConf;
import dhis2simulator.conf.Release;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class PoolSettingsTest {
    private static final String C3P0_AGE = "c3p0.maxConnectionAge";
    private static final String HIKARI_AGE = "connection.pool.max_lifetime_seconds = 300\n";

    private static long age(String release, String conf) {
        return new PoolSettings(new DhisConf(conf, Map.of()), Release.of(release)).ageMilliseconds();
    }

    @AfterEach
    void forget() {
        System.clearProperty(C3P0_AGE);
    }

    @Test
    void c3p0KeepsConnectionsUnlessItsSystemPropertyEndsThem() {
        assertEquals(0, age("2.42.5", HIKARI_AGE), "no key of dhis.conf reaches c3p0's age");
        System.setProperty(C3P0_AGE, "5");
        assertEquals(5_000, age("2.42.5", ""), "it is in seconds");
    }

    @Test
    void hikariGoesByItsKeyAndNotByC3p0sProperty() {
        System.setProperty(C3P0_AGE, "5");
        assertEquals(300_000, age("2.43.1", HIKARI_AGE));
        assertEquals(1_800_000, age("2.43.1", ""), "half an hour unless told otherwise");
    }

    @Test
    void olderReleasesDoNotKnowTheKeyWhenTheyAreGivenHikari() {
        assertEquals(1_800_000, age("2.42.5", HIKARI_AGE + "db.pool.type = hikari"));
    }

    @Test
    void theDivisorHurriesBoth() {
        assertEquals(15_000, age("2.43.1", HIKARI_AGE + "simulator.pool.age.divisor = 20"));
        System.setProperty(C3P0_AGE, "300");
        assertEquals(15_000, age("2.42.5", "simulator.pool.age.divisor = 20"));
    }
}
