"""The cache's files in a real Valkey: who gets in, what survives, what the health check says."""

import pytest
from docker.models.containers import Container

from components.templates.rendering import render
from tests.container.parts import FILES, VALKEY, Parts, log, run, said, until

pytestmark = pytest.mark.container

PASSWORD = 'p"\\a $s{s} ü#'  # noqa: S105 - of a server that lives for these tests


@pytest.fixture(scope="module")
def cache(bench: Parts) -> Container:
    """A running cache whose password has every character that could break its file."""
    files = {
        f"{FILES}/valkey.conf": render("cache/valkey.conf.j2", password=PASSWORD, generation="one", memory_mb=64),
        f"{FILES}/health.sh": render("cache/health.sh"),
        f"{FILES}/secrets/cache-password": PASSWORD,
    }
    container = bench.start(
        VALKEY,
        "valkey-server",
        f"{FILES}/valkey.conf",
        files=files,
        alias="cache",
        user="999:999",
        mem_limit="64m",
        tmpfs={"/tmp": "size=16m"},  # noqa: S108
    )
    until(lambda: healthy(container), "the cache takes its password")
    return container


def healthy(container: Container) -> bool:
    """What the health check says."""
    return run(container, "/bin/sh", f"{FILES}/health.sh")[0] == 0


def valkey(container: Container, command: str) -> str:
    """The answer to a command given with the password."""
    secret = f"{FILES}/secrets/cache-password"
    return said(container, f'REDISCLI_AUTH="$(cat {secret})" valkey-cli --no-auth-warning {command}')


def test_nobody_gets_in_without_the_password(bench: Parts, cache: Container) -> None:
    stranger = bench.start(VALKEY, "sleep", "60", user="999:999")
    for attempt in ("get session", "-a wrong --no-auth-warning get session", "config get requirepass"):
        answer = said(stranger, f"valkey-cli -h cache {attempt} 2>&1 || true")
        assert "NOAUTH" in answer or "WRONGPASS" in answer, f"sessions are as good as passwords: {answer}"


def test_the_health_check_is_not_fooled_by_a_refusal(cache: Container) -> None:
    shown = said(cache, f"sed 's#/.*cache-password#/etc/hostname#' {FILES}/health.sh > /tmp/h; sh /tmp/h; echo $?")
    assert "PONG" not in shown and shown.endswith("1"), "the client ends with 0 when it is refused"


def test_the_server_is_set_as_dhis2_needs_it(cache: Container) -> None:
    events = valkey(cache, "config get notify-keyspace-events").split()[-1]
    assert set(events) == set("Egx"), "sessions end by these events"
    assert valkey(cache, "config get maxmemory-policy").split()[-1] == "noeviction", "no session is thrown away"
    assert int(valkey(cache, "config get maxmemory").split()[-1]) == 48 * 1024**2, "three quarters of 64 MB"
    assert "ERR unknown command" in valkey(cache, "replicaof 192.0.2.1 6379 2>&1"), "it copies no other server"


def test_a_session_survives_kill_and_nothing_warns(cache: Container) -> None:
    valkey(cache, "set session alive")
    # Written within a second; the test must not depend on which.
    until(lambda: valkey(cache, "info persistence").count("aof_pending_bio_fsync:0"), "the log is on disk")
    cache.kill()
    cache.start()
    until(lambda: healthy(cache), "it comes back")
    assert valkey(cache, "get session") == "alive", "users stay logged in"
    assert said(cache, "ls /data") == "appendonly-one", "the log of this generation and no snapshot"
    assert PASSWORD not in log(cache), "the password is in no log"
