"""Backups: what is in a set, what counts as one, and a restore that keeps the database before until it is whole."""

from collections.abc import Iterator

import pytest
from docker.models.containers import Container

from components.backup.backup import DATA
from components.orchestrator.container_paths import FILES
from tests.container.backups import Backups, attempt, create, health, sets
from tests.container.databases import Databases, until_healthy
from tests.support.commands import execute, logs, shell_output, sql
from tests.support.containers import Containers, gateway_of
from tests.support.rest_server.server import USER, rest_server
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, s3_bucket
from tests.support.waiting import until, until_exited

pytestmark = pytest.mark.container

REST_PASSWORD = "rest-password"  # noqa: S105
ENCRYPTION, OTHER = "the encryption password of a stack", "another-encryption-password"
CREDENTIALS = f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
RESTORE_REQUEST = f"{FILES}/restore-request.sh"
MARKER = "/var/lib/postgresql/restored"
CUT = "/var/lib/postgresql/cut"  # beside the database: the cut was made


@pytest.fixture(scope="module")
def backups(containers: Containers) -> Backups:
    return Backups(containers, Databases(containers, containers.volume("dumps")), ENCRYPTION)


@pytest.fixture(scope="module")
def primary(containers: Containers, backups: Backups) -> Container:
    """A primary with a table of DHIS2, one of its superuser, and analytics tables."""
    container = backups.databases.primary(
        containers.volume("data"), encryption=ENCRYPTION, backups=backups.data, keep=True
    )
    until_healthy(container, "primary")
    sql(
        container,
        "SET ROLE dhis; CREATE TABLE public.mine (id integer); INSERT INTO mine SELECT generate_series(1, 1000)",
    )
    sql(container, "CREATE TABLE of_superuser (id integer); INSERT INTO of_superuser VALUES (1)")
    sql(container, "SET ROLE dhis; CREATE TABLE analytics_2025 (id integer); INSERT INTO analytics_2025 VALUES (1)")
    sql(container, "SET ROLE dhis; CREATE VIEW of_analytics AS SELECT * FROM analytics_2025")
    sql(
        container,
        "SET ROLE dhis; CREATE TABLE analyticsperiodboundary (id integer); INSERT INTO analyticsperiodboundary VALUES (1)",
    )
    return container


@pytest.fixture(scope="module")
def container(backups: Backups, primary: Container) -> Iterator[Container]:
    """A backup container without a schedule, and a file people have uploaded."""
    container = backups.start()
    shell_output(
        container, "mkdir -p /files/document && echo first >/files/document/upload && chmod 700 /files/document"
    )
    yield container


@pytest.fixture(autouse=True)
def discarded(container: Container) -> None:
    """Remove the set that the test before has unpacked, as `dhis2-cluster restore` does at its end."""
    assert attempt(container, "discard")[0] == 0


def restore(
    primary: Container, container: Container, identifier: str, parts: str = "all", *, own: bool = False
) -> None:
    """Request a restore and restart the primary, as `dhis2-cluster restore` does."""
    code, output = attempt(container, "unpack", identifier, parts)
    assert code == 0, output
    code, output = attempt(container, "begin-restore")
    assert code == 0, output
    code, output = execute(primary, "bash", RESTORE_REQUEST, "backup", identifier, *(["own"] if own else []))
    assert code == 0, output
    primary.restart()


def test_a_set_has_the_database_and_the_files_and_the_versions(container: Container, primary: Container) -> None:
    identifier = create(container)
    (made,) = sets(container)
    assert made["short_id"] == identifier and made["hostname"] == "dhis2-cluster-test"
    tags = dict(tag.partition("=")[::2] for tag in made["tags"])
    assert tags["version"] == "2.43.1" and tags["postgresql"].startswith("17.")
    assert tags["fingerprint"] == sql(primary, "SELECT fingerprint FROM dhis2_cluster.encryption_password")
    assert health(container)[0] == 0 and identifier in health(container)[1]
    assert shell_output(container, f"ls {DATA}").split().count("set") == 0, "what is stored is removed from the disk"


def test_a_restore_brings_rows_and_files_back_and_again(container: Container, primary: Container) -> None:
    identifier = create(container)
    for _ in range(2):
        sql(primary, "DELETE FROM mine")
        shell_output(container, "echo second >/files/document/upload; echo new >/files/new")
        restore(primary, container, identifier)
        until_healthy(primary, "primary")
        assert attempt(container, "exchange-files")[0] == 0
        assert sql(primary, "SELECT count(*) FROM mine") == "1000"
        assert sql(primary, "SELECT count(*) FROM of_superuser") == "1", "also what DHIS2 does not own"
        assert sql(primary, "SELECT count(*) FROM analyticsperiodboundary") == "1", (
            "metadata, whatever its name begins with"
        )
        assert sql(primary, "SELECT count(*) FROM of_analytics") == "0", (
            "its view is there, DHIS2 builds the rows again"
        )
        assert shell_output(
            container, "cat /files/document/upload; ls -A /files; stat -c %a /files/document"
        ).split() == ["first", "document", "700"]
        marker = shell_output(primary, f"cat {MARKER}").splitlines()
        assert f"restored_set={identifier}" in marker
        assert "analytics=due" in marker, "a backup has no rows of analytics tables"
        primary.restart()
        until_healthy(primary, "primary")
        assert (
            "restoring"
            not in logs(primary).rpartition("PostgreSQL 17 is ready")[0].rpartition("PostgreSQL 17 is ready")[2]
        ), "once"


def test_a_set_beside_a_bucket_has_the_database_alone_and_names_the_bucket(container: Container) -> None:
    code, output = execute(container, "env", "BUCKET=dhis2-files", "bash", f"{FILES}/backup.sh", "create")
    assert code == 0 and "are in the bucket dhis2-files, and in no backup" in output
    made = sets(container)[-1]
    assert "bucket=dhis2-files" in made["tags"] and made["paths"] == [f"{DATA}/set"]
    assert attempt(container, "unpack", made["short_id"], "database")[0] == 0
    code, output = attempt(container, "unpack", made["short_id"], "files")
    assert code != 0 and f"the files of the backup {made['short_id']} cannot be fetched" in output


def test_a_set_with_analytics_tables_has_their_rows(container: Container, primary: Container) -> None:
    sql(primary, "INSERT INTO analytics_2025 VALUES (1), (2)")
    identifier = create(container, "--all")
    sql(primary, "DELETE FROM analytics_2025")
    restore(primary, container, identifier, "database")
    until_healthy(primary, "primary")
    assert sql(primary, "SELECT count(*) FROM analytics_2025") == "2"
    assert "analytics=done" in shell_output(primary, f"cat {MARKER}").splitlines(), "they need not be built again"


def test_a_restore_that_fails_keeps_the_database_before(container: Container, primary: Container) -> None:
    identifier = create(container)
    sql(primary, "INSERT INTO mine VALUES (1001)")
    code, output = attempt(container, "unpack", identifier, "database")
    assert code == 0, output
    shell_output(container, f"truncate -s 3000 {DATA}/unpacked/database.dump")
    shell_output(
        container,
        f"cd {DATA}/unpacked && echo \"$(sha256sum database.dump | cut -d ' ' -f 1) 3000 3000\" >database.dump.sha256",
    )
    assert execute(primary, "bash", RESTORE_REQUEST, "backup", identifier)[0] == 0
    primary.restart()
    log = until_exited(primary)
    assert f"fatal: the dump backup {identifier} cannot be restored" in log
    primary.start()  # as Docker Engine does
    until_healthy(primary, "primary")
    assert sql(primary, "SELECT count(*) FROM mine") == "1001"
    sql(primary, "DELETE FROM mine WHERE id = 1001")


def test_a_primary_that_is_killed_in_a_restore_serves_the_database_before(
    container: Container, primary: Container
) -> None:
    identifier = create(container)
    sql(primary, "INSERT INTO mine VALUES (1001)")
    before = len(logs(primary))
    restore(primary, container, identifier, "database")
    until(lambda: "restoring backup" in logs(primary)[before:], "the restore to begin")
    primary.kill()
    until_exited(primary)
    primary.start()
    until_healthy(primary, "primary")
    assert sql(primary, "SELECT count(*) FROM mine") == "1001"
    sql(primary, "DELETE FROM mine WHERE id = 1001")


@pytest.mark.parametrize("moved", ["*/staging/pgdata", "/var/lib/postgresql/restored.new"])
def test_a_restore_that_is_cut_between_the_two_databases_is_finished_by_the_next_start(
    containers: Containers, backups: Backups, container: Container, primary: Container, moved: str
) -> None:
    identifier = create(container)
    primary.stop()
    cut = f"[ -e {CUT} ] || case $1 in {moved}) touch {CUT}; exit 1 ;; esac"
    other = backups.databases.primary(
        containers.volume(),
        encryption=ENCRYPTION,
        backups=backups.data,
        commands={"mv": f'#!/bin/sh\n{cut}\nexec /bin/mv "$@"\n'},
    )
    until_exited(other)  # of its first database
    other.start()
    until_healthy(other, "primary")
    assert sql(other, "SELECT to_regclass('mine') IS NULL") == "t", "a blank one"
    shell_output(other, f"rm {CUT}")
    restore(other, container, identifier, "database")
    until_exited(other)
    assert attempt(container, "discard")[0] == 0
    other.start()
    until_healthy(other, "primary")
    assert sql(other, "SELECT count(*) FROM mine") == "1000"
    assert logs(other).count("restoring backup") == 1
    containers.remove(other)
    primary.start()
    until_healthy(primary, "primary")


def test_a_backup_that_is_killed_is_no_set_and_unhealthy_until_the_next(
    container: Container, primary: Container
) -> None:
    before = [made["id"] for made in sets(container)]
    shell_output(container, "head -c 40000000 /dev/urandom >/files/large")
    for phase in ("pg_dump", "restic backup"):
        # Stopped where it is, so that the kill cannot come too late.
        container.exec_run(["bash", f"{FILES}/backup.sh", "create"], detach=True)
        until(lambda phase=phase: _stopped(container, phase), f"{phase} to run")  # type: ignore[misc]
        shell_output(container, "pkill -KILL -f 'backup.sh [c]reate'; pkill -KILL pg_dump; pkill -KILL restic; true")
        until(lambda: "was killed" in health(container)[1], "the healthcheck to report it")
        assert [made["id"] for made in sets(container)] == before
    shell_output(container, "rm /files/large")
    create(container)
    assert health(container)[0] == 0, "one that succeeds ends it"


def _stopped(container: Container, phase: str) -> bool:
    return execute(container, "pkill", "-STOP", "-f", phase.replace(" ", ".*", 1))[0] == 0


def test_a_failed_backup_is_reported_by_the_healthcheck(container: Container, primary: Container) -> None:
    primary.stop()
    code, output = attempt(container, "create")
    assert code != 0 and "fatal: the primary does not answer" in output
    assert health(container)[0] == 1 and "failed: the primary does not answer" in health(container)[1]
    primary.start()
    until_healthy(primary, "primary")
    create(container)
    assert health(container)[0] == 0


def test_files_that_cannot_be_read_make_no_set(container: Container, primary: Container) -> None:
    before = [made["id"] for made in sets(container)]
    container.exec_run(["sh", "-c", "echo secret >/files/of-root && chmod 600 /files/of-root"], user="0:0")
    code, output = attempt(container, "create")
    assert code != 0 and "restic could not store everything: error: open /files/of-root: permission denied" in output
    assert [made["id"] for made in sets(container)] == before
    container.exec_run(["rm", "/files/of-root"], user="0:0")
    create(container)


def test_two_backups_do_not_run_at_the_same_time(container: Container, primary: Container) -> None:
    code, output = execute(container, "flock", f"{DATA}/lock", "bash", f"{FILES}/backup.sh", "create")
    assert code == 1 and "a backup or a restore is running" in output
    assert health(container)[0] == 0, "that is no failure of the backups"


def test_no_backup_is_made_between_the_database_and_the_files_of_a_restore(container: Container) -> None:
    identifier = create(container)
    assert attempt(container, "unpack", identifier, "all")[0] == 0
    assert attempt(container, "begin-restore")[0] == 0
    code, output = attempt(container, "create")
    assert (
        code == 1 and "a restore is running; wait for its end. If it was killed: dhis2-cluster shell backup" in output
    )
    assert health(container)[0] == 0, "that is no failure of the backups"
    shell_output(container, f"touch -d '2 days ago' {DATA}/unpacked/restoring")
    create(container)


def test_a_restore_that_was_ended_while_it_fetched_keeps_no_backup_away(container: Container) -> None:
    assert attempt(container, "unpack", create(container), "all")[0] == 0
    create(container)
    code, output = attempt(container, "begin-restore")
    assert code == 1 and "a backup has removed what was fetched; nothing was changed" in output
    assert shell_output(container, f"ls -d {DATA}/unpacked /files/.unpacked 2>&1 || true").count("No such file") == 2


def test_files_that_a_killed_restore_has_moved_away_are_no_set(container: Container) -> None:
    identifier, before = create(container), len(sets(container))
    shell_output(container, "mkdir /files/.before && mv /files/document /files/.before")
    code, output = attempt(container, "create")
    assert code == 1 and "some are missing" in output and len(sets(container)) == before
    assert attempt(container, "unpack", identifier, "files")[0] == 0
    assert attempt(container, "exchange-files")[0] == 0
    assert shell_output(container, "cat /files/document/upload; ls -A /files").split() == ["first", "document"]
    assert attempt(container, "discard")[0] == 0
    create(container)
    assert health(container)[0] == 0


def test_no_secret_is_in_a_log_or_on_a_command_line(container: Container) -> None:
    text = logs(container) + str(container.attrs["Config"]["Env"]) + str(container.top())
    for secret in ("repository password", ENCRYPTION, "back:pass"):
        assert secret not in text


def test_a_schedule_makes_sets(backups: Backups, primary: Container) -> None:
    container = backups.start("* * * * *")
    started = len(sets(container))
    until(lambda: len(sets(container)) > started, "a set by schedule", container=container)
    until(lambda: "last backup" in health(container)[1], "the end of the backup", container=container)
    container.stop()  # or its next backup removes what other tests have fetched


def test_a_missed_backup_is_overdue(backups: Backups, primary: Container) -> None:
    container = backups.start("0 0 29 2 *", max_age=1)
    until(lambda: "a backup is overdue" in health(container)[1], "the backup to be overdue", container=container)
    assert health(container)[0] == 1


@pytest.fixture(scope="module")
def bucket(backups: Backups) -> Iterator[str]:
    """Return the address of a repository in a bucket, as the containers reach it."""
    with s3_bucket(gateway_of(backups.databases.network)) as address:
        yield address


def test_a_repository_on_s3_has_the_sets_and_gives_them_back(backups: Backups, primary: Container, bucket: str) -> None:
    container = backups.start(repository=bucket, s3_credentials=CREDENTIALS)
    identifier = create(container)
    assert [made["short_id"] for made in sets(container)] == [identifier], "not those of the volume"
    sql(primary, "DELETE FROM mine")
    restore(primary, container, identifier, "database")
    until_healthy(primary, "primary")
    assert sql(primary, "SELECT count(*) FROM mine") == "1000"


def test_a_bucket_that_does_not_exist_is_created(backups: Backups, primary: Container, bucket: str) -> None:
    container = backups.start(repository=bucket.replace("/backups/", "/another/"), s3_credentials=CREDENTIALS)
    assert health(container)[0] == 0
    assert [made["short_id"] for made in sets(container)] == []


def test_the_password_of_a_repository_is_changed_with_its_sets(
    backups: Backups, primary: Container, bucket: str
) -> None:
    repository = f"{bucket}-rotated"
    container = backups.start(repository=repository, s3_credentials=CREDENTIALS)
    identifier = create(container)
    shell_output(container, f"echo 'the new one' | bash {FILES}/backup.sh change-password 2>&1")
    code, output = attempt(container, "list")
    assert code == 1 and "password" in output, "the old one is refused"
    assert "the new one" not in logs(container) + shell_output(container, "ls /tmp")
    other = backups.start(password="the new one", repository=repository, s3_credentials=CREDENTIALS)  # noqa: S106
    assert [made["short_id"] for made in sets(other)] == [identifier]


@pytest.fixture(scope="module")
def rest_host(backups: Backups, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return host and port of a REST server, as the containers reach it."""
    with rest_server(tmp_path_factory.mktemp("rest"), gateway_of(backups.databases.network), REST_PASSWORD) as address:
        yield address


def test_a_repository_on_a_rest_server_has_the_sets_and_gives_them_back(
    backups: Backups, primary: Container, rest_host: str
) -> None:
    container = backups.start(repository=f"rest:http://{USER}:{REST_PASSWORD}@{rest_host}/{USER}/stack")
    identifier = create(container)
    assert [made["short_id"] for made in sets(container)] == [identifier], "not those of the volume"
    assert attempt(container, "unpack", identifier, "database")[0] == 0
    assert " mine dhis" in shell_output(container, f"pg_restore -l {DATA}/unpacked/database.dump")


def test_a_rest_server_that_refuses_the_password_is_named_without_it(
    backups: Backups, primary: Container, rest_host: str
) -> None:
    container = backups.start(repository=f"rest:http://{USER}:another-password@{rest_host}/{USER}/stack")
    code, output = health(container)
    assert code == 1 and "the repository cannot be opened" in output and "401" in output
    assert "another-password" not in output + logs(container)


def test_a_repository_that_cannot_be_reached_is_named(backups: Backups, primary: Container) -> None:
    container = backups.start(repository="rest:http://127.0.0.1:1/none")
    code, output = health(container)
    assert (
        code == 1 and "the repository cannot be opened, it does not answer" in output and "connection refused" in output
    )


def test_another_password_than_the_repository_s_is_named(backups: Backups, container: Container) -> None:
    other = backups.start(password="another")  # noqa: S106
    assert health(other)[0] == 1
    assert "the repository was made with another password than the one of this stack" in health(other)[1]
    for command in ("create", "list"):
        code, output = attempt(other, command)
        assert code != 0 and "another password" in output and "pulumi config set --secret backupPassword" in output


def test_a_set_restores_with_its_own_encryption_password(
    containers: Containers, backups: Backups, container: Container, primary: Container
) -> None:
    identifier = create(container)
    primary.stop()
    other = backups.databases.primary(containers.volume("other"), encryption=OTHER, backups=backups.data)
    until_healthy(other, "primary")
    fingerprint = next(tag for tag in sets(container)[-1]["tags"] if tag.startswith("fingerprint=")).partition("=")[2]
    assert execute(other, "bash", RESTORE_REQUEST, "matches", fingerprint)[0] == 1
    restore(other, container, identifier, "database")
    assert "was used with another encryption.password" in until_exited(other)
    other.start()
    until_healthy(other, "primary")
    restore(other, container, identifier, "database", own=True)
    until_healthy(other, "primary")
    assert sql(other, "SELECT count(*) FROM mine") == "1000"
    assert sql(other, "SELECT fingerprint FROM dhis2_cluster.encryption_password") == fingerprint
    containers.remove(other)
    primary.start()
    until_healthy(primary, "primary")
