"""A primary restores its dump again on request: the same dump, from its copy, and only for the restart that follows."""

import pytest
from docker.models.containers import Container

from components.database.database_pair import DATA
from components.orchestrator.container_paths import FILES
from tests.container.databases import until_healthy
from tests.container.dump_cache import ROW, STARTED, DumpCache, key_of, marker
from tests.support.commands import execute, logs, shell_output, sql
from tests.support.waiting import until_exited

pytestmark = pytest.mark.container

ENCRYPTION = "the encryption password of a stack"
REQUEST = ("bash", f"{FILES}/restore-request.sh")


def is_later(primary: Container) -> bool:
    """Return whether the database has what was entered after the restore."""
    return sql(primary, "SELECT to_regclass('later') IS NOT NULL") == "t"


def as_owner(primary: Container, command: str) -> None:
    """Run a command as the user who has fetched the dumps: no other may change them."""
    code, output = primary.exec_run(["sh", "-c", command], user="101:101")
    assert code == 0, output


def test_a_reset_restores_the_same_dump_from_its_copy(cache: DumpCache) -> None:
    primary = cache.restored("reset", encryption=ENCRYPTION)
    for _ in range(2):
        sql(primary, "CREATE TABLE later (n integer)")
        before = marker(primary)
        assert execute(primary, *REQUEST, "check-dump")[0] == 0
        assert execute(primary, *REQUEST, "dump")[0] == 0
        primary.restart()
        until_healthy(primary, "primary")
        assert not is_later(primary) and sql(primary, ROW) == "reset"
        assert STARTED in logs(primary)
        assert marker(primary) != before and "analytics=due" in marker(primary)
    primary.restart()
    until_healthy(primary, "primary")
    assert logs(primary).count("the database is restored again, as requested") == 2, "once for each request"


def test_a_blank_database_is_reset_to_a_blank_one(cache: DumpCache) -> None:
    primary = cache.databases.primary(cache.containers.volume())
    cache.primaries.append(primary)
    until_healthy(primary, "primary")
    sql(primary, "CREATE TABLE later (n integer)")
    assert execute(primary, *REQUEST, "check-dump")[0] == 0
    assert execute(primary, *REQUEST, "dump")[0] == 0
    primary.restart()
    until_healthy(primary, "primary")
    assert not is_later(primary) and "analytics=due" not in marker(primary)


def test_a_request_that_no_restart_followed_is_ignored_later(cache: DumpCache) -> None:
    primary = cache.restored("late")
    sql(primary, "CREATE TABLE later (n integer)")
    shell_output(primary, f"echo at=1 >{DATA}/restore-request")
    primary.restart()
    until_healthy(primary, "primary")
    assert is_later(primary), "the machine may have been started again a week later"
    assert "a request to restore is too old" in logs(primary)
    assert execute(primary, "test", "-e", f"{DATA}/restore-request")[0] == 1


def test_a_dump_that_is_not_there_any_more_is_named_and_costs_no_data(cache: DumpCache) -> None:
    primary = cache.restored("missing", mb=1)
    as_owner(primary, f"rm /dumps/{key_of('missing')}*")
    code, output = execute(primary, *REQUEST, "check-dump")
    assert code == 1 and "is not in the dump cache any more. Fetch it again: docker rm" in output


def test_a_reset_that_is_killed_leaves_the_database_before(cache: DumpCache) -> None:
    primary = cache.restored("killed", mb=1)
    sql(primary, "CREATE TABLE later (n integer)")
    as_owner(primary, f"cd /dumps && chmod u+w {key_of('killed')} && echo damaged >>{key_of('killed')}")
    assert execute(primary, *REQUEST, "dump")[0] == 0
    primary.restart()
    assert "in the cache is damaged" in until_exited(primary)
    primary.start()  # as Docker Engine does
    until_healthy(primary, "primary")
    assert is_later(primary)
