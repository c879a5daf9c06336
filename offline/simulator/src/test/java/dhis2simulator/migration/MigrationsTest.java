package dhis2simulator.migration;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dhis2simulator.conf.Release;
import java.util.Arrays;
import java.util.List;
import org.flywaydb.core.api.CoreMigrationType;
import org.flywaydb.core.api.MigrationVersion;
import org.junit.jupiter.api.Test;

class MigrationsTest {
    private static List<String> resolved(String release, String... seen) {
        List<KnownMigration> history = Arrays.stream(seen)
                .map(version -> new KnownMigration(
                        MigrationVersion.fromVersion(version), "Known", CoreMigrationType.SQL, 1))
                .toList();
        return Migrations.resolve(history, Release.of(release), 0).stream()
                .map(one -> one.getDescription().split(" ")[0] + " " + one.getVersion().getVersion())
                .toList();
    }

    @Test
    void anOlderDumpGetsTheLaterLinesOnly() {
        assertEquals(List.of("Known 2.41.48", "Simulated 2.42.1", "Simulated 2.43.1"), resolved("2.43.1", "2.41.48"));
    }

    @Test
    void aDumpOfTheSameLineGetsNothing() {
        assertEquals(List.of("Known 2.42.52"), resolved("2.42.5", "2.42.52"));
    }

    @Test
    void whatALaterLineDidIsUnknown() {
        assertEquals(List.of("Known 2.41.48"), resolved("2.41.4", "2.41.48", "2.42.1"),
                "Flyway must find an applied migration that is not resolved");
    }

    @Test
    void anEmptyDatabaseGetsEveryLine() {
        List<String> all = resolved("2.43.1");
        assertEquals("Simulated 2.30.0", all.get(0));
        assertEquals(List.of("Simulated 2.42.1", "Simulated 2.43.1"), all.subList(all.size() - 2, all.size()));
    }

    @Test
    void theTimeToTakeIsSharedByWhatIsNew() {
        var history = List.of(new KnownMigration(MigrationVersion.fromVersion("2.41.48"), "", CoreMigrationType.SQL, 1));
        long total = Migrations.resolve(history, Release.of("2.43.1"), 1_000).stream()
                .filter(LineMigration.class::isInstance)
                .mapToLong(one -> ((LineMigration) one).milliseconds())
                .sum();
        assertEquals(1_000, total);
    }
}
