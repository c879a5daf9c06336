"""DHIS2's analytics tables: the primary asks a core for the job once after a restore, and records how it ends."""

from collections.abc import Iterator

import pytest
from docker.models.containers import Container

from components.database.database_pair import DATA
from components.orchestrator.container_paths import FILES
from tests.container.databases import ADMIN_PASSWORD, Databases, until_healthy
from tests.support.archive import packed
from tests.support.commands import execute, logs, sql
from tests.support.containers import Containers
from tests.support.project import NGINX
from tests.support.waiting import until, until_logged

pytestmark = pytest.mark.container

JOB = "aB3dE6gH9jK"
ACCEPTED = f'{{"status":"OK","response":{{"id":"{JOB}","relativeNotifierEndpoint":"/api/system/tasks/ANALYTICS_TABLE/{JOB}"}}}}'
REFUSED = '{"httpStatus":"Forbidden","status":"ERROR","message":"Access is denied"}'
TABLES = """CREATE TABLE systemsetting (name text, value text);
CREATE TABLE jobconfiguration (uid text, lastexecutedstatus text, errorcodes text, progress jsonb);
INSERT INTO systemsetting VALUES ('keyLastSuccessfulAnalyticsTablesUpdate', 'in another instance');
"""
BUILT = "UPDATE systemsetting SET value = 'now'"
PROGRESS = """{"sequence": [{"error": null, "stages": [{"error": "cannot execute\nCREATE TABLE", "items": []}]}]}"""


class Core:
    """A web server in the place of a core, which answers the request for the job."""

    def __init__(self, containers: Containers, databases: Databases) -> None:
        """Start it."""
        conf = """pid /tmp/nginx.pid; events {} http { server { listen 8080; root /tmp/www;
            location /api/ { auth_basic DHIS2; auth_basic_user_file /tmp/users; error_page 404 405 = @answer; }
            location @answer { include /tmp/answer; } } }"""
        files: dict[str, str | bytes] = {"/etc/nginx/nginx.conf": conf}
        self.container = containers.create(
            NGINX, "nginx", "-g", "daemon off;", files=files, alias="core-1", network=databases.network
        )
        self.container.put_archive("/tmp", packed({"users": f"admin:{{PLAIN}}{ADMIN_PASSWORD}\n"}))  # noqa: S108
        self.answer(200, ACCEPTED)
        self.container.start()

    def answer(self, status: int, text: str) -> None:
        """Answer the request for the job."""
        self.container.put_archive("/tmp", packed({"answer": f"return {status} '{text}';\n"}))  # noqa: S108
        self.container.reload()
        if self.container.status == "running":
            self.container.restart(timeout=1)


@pytest.fixture(scope="module")
def databases(containers: Containers) -> Databases:
    databases = Databases(containers, containers.volume("dumps"))
    databases.add_dump(TABLES.encode(), "7a" * 32)
    return databases


@pytest.fixture(scope="module")
def core(containers: Containers, databases: Databases) -> Core:
    return Core(containers, databases)


@pytest.fixture
def primary(containers: Containers, databases: Databases) -> Iterator[Container]:
    """A primary that was restored from a dump."""
    container = databases.primary(containers.volume(), "7a" * 32)
    until_healthy(container, "primary")
    yield container
    containers.remove(container)


def analytics(primary: Container, *arguments: str) -> tuple[int, str]:
    return execute(primary, "bash", f"{FILES}/analytics.sh", *arguments)


def start(primary: Container) -> tuple[int, str]:
    return analytics(primary, "start", "core-1", "8080", "setting")


def state(primary: Container) -> str:
    """Return what the marker has of the job."""
    return execute(primary, "sed", "-n", "s/^analytics=//p", f"{DATA}/restored")[1]


def test_the_analytics_tables_are_due_after_a_restore_and_not_for_a_blank_database(
    containers: Containers, databases: Databases, primary: Container
) -> None:
    assert state(primary) == "due"
    assert analytics(primary)[1].startswith("due: ")
    blank = databases.primary(containers.volume("blank"))
    until_healthy(blank, "primary")
    assert state(blank) == ""


def test_a_job_that_completes_is_recorded_while_the_primary_runs(primary: Container, core: Core) -> None:
    core.answer(200, ACCEPTED)
    assert start(primary) == (0, JOB)
    sql(primary, f"INSERT INTO jobconfiguration VALUES ('{JOB}', 'RUNNING')")  # noqa: S608
    assert analytics(primary)[1] == f"running for 0 minutes (job {JOB})"
    sql(primary, "UPDATE jobconfiguration SET lastexecutedstatus = 'COMPLETED'")
    until(lambda: state(primary) == "done", "the end of the job to be recorded", container=primary)
    until_logged(primary, "the analytics tables are built")
    primary.restart()
    until_healthy(primary, "primary")
    assert state(primary) == "done", "a database that is kept keeps its tables"


def test_a_release_that_records_no_job_is_followed_by_its_setting(primary: Container, core: Core) -> None:
    core.answer(200, ACCEPTED)
    start(primary)
    assert analytics(primary)[1].startswith("running")
    sql(primary, BUILT)
    assert analytics(primary) == (0, "done")


@pytest.mark.parametrize(
    ("codes", "progress", "reason"),
    [
        ("E1", PROGRESS.replace("\n", "\\n"), "cannot execute CREATE TABLE"),
        ("E7144", "{}", "E7144"),
        ("", "null", "FAILED"),
    ],
)
def test_a_job_that_fails_is_recorded_with_the_reason_of_dhis2(
    primary: Container, core: Core, codes: str, progress: str, reason: str
) -> None:
    core.answer(200, ACCEPTED)
    start(primary)
    sql(primary, f"INSERT INTO jobconfiguration VALUES ('{JOB}', 'FAILED', '{codes}', $x${progress}$x$)")  # noqa: S608
    assert analytics(primary) == (0, f"failed: {reason}")
    assert state(primary) == "failed"
    sql(primary, BUILT)
    assert analytics(primary) == (0, "done"), "a person has built them since"


def test_a_job_without_an_end_counts_as_failed_after_a_day(primary: Container, core: Core) -> None:
    core.answer(200, ACCEPTED)
    start(primary)
    execute(primary, "sed", "-i", "s/^analytics_started=.*/analytics_started=1/", f"{DATA}/restored")
    assert analytics(primary) == (0, "failed: DHIS2 has not reported its end within a day")


@pytest.mark.parametrize(
    ("status", "text", "reason"), [(403, REFUSED, "Access is denied"), (502, "", "core-1 answered 502")]
)
def test_a_job_that_dhis2_refuses_stays_due(
    primary: Container, core: Core, status: int, text: str, reason: str
) -> None:
    core.answer(status, text)
    assert start(primary) == (1, reason)
    assert state(primary) == "due"


def test_a_core_that_does_not_answer_is_reported(primary: Container) -> None:
    assert analytics(primary, "start", "no-such-host", "8080", "setting") == (1, "no-such-host answered nothing")


def test_the_password_is_in_no_log(primary: Container, core: Core) -> None:
    core.answer(200, ACCEPTED)
    start(primary)
    assert ADMIN_PASSWORD[:6] not in logs(primary)
