"""The cache's files in a real Valkey: authentication, persistence, healthcheck."""

import pytest
from docker.models.containers import Container

from components.cache.cache import ENDPOINT, UID
from components.orchestrator.container_spec import FILES, SECRETS
from components.templates.rendering import render
from tests.support.commands import execute, logs, shell_output
from tests.support.containers import Containers
from tests.support.project import VALKEY
from tests.support.waiting import until

pytestmark = pytest.mark.container

PASSWORD = 'p"\\a $s{s} ü#'  # noqa: S105 - of a server that lives for these tests


@pytest.fixture(scope="module")
def cache(containers: Containers) -> Container:
    """Start a cache whose password has every character that could break its file."""
    conf = render("cache/valkey.conf.j2", endpoint=ENDPOINT, password=PASSWORD, sessions="one", memory_mb=64)
    files = {
        f"{FILES}/valkey.conf": conf,
        f"{FILES}/health.sh": render("cache/health.sh"),
        f"{SECRETS}/cache-password": PASSWORD,
    }
    container = containers.start(
        VALKEY,
        entrypoint=["valkey-server", f"{FILES}/valkey.conf"],
        files=files,
        alias=ENDPOINT.host,
        user=f"{UID}:{UID}",
        mem_limit="64m",
        tmpfs={"/tmp": "size=16m"},  # noqa: S108
    )
    until(lambda: healthy(container), "the cache to be healthy", container=container)
    return container


def healthy(container: Container) -> bool:
    """Return whether the healthcheck succeeds."""
    return execute(container, "/bin/sh", f"{FILES}/health.sh")[0] == 0


def valkey(container: Container, command: str) -> str:
    """Return the reply to a command sent with the password."""
    secret = f"{SECRETS}/cache-password"
    return shell_output(container, f'REDISCLI_AUTH="$(cat {secret})" valkey-cli --no-auth-warning {command}')


def test_commands_without_the_password_are_refused(containers: Containers, cache: Container) -> None:
    stranger = containers.start(VALKEY, "sleep", "60", user=f"{UID}:{UID}")
    for attempt in ("get session", "-a wrong --no-auth-warning get session", "config get requirepass"):
        answer = shell_output(stranger, f"valkey-cli -h cache {attempt} 2>&1 || true")
        assert "NOAUTH" in answer or "WRONGPASS" in answer, f"sessions are as good as passwords: {answer}"


def test_the_healthcheck_fails_when_its_password_is_refused(cache: Container) -> None:
    output = shell_output(
        cache, f"sed 's#/.*cache-password#/etc/hostname#' {FILES}/health.sh > /tmp/h; sh /tmp/h; echo $?"
    )
    assert "PONG" not in output and output.endswith("1"), "the client exits with 0 when it is refused"


def test_the_server_is_configured_as_dhis2_needs_it(cache: Container) -> None:
    events = valkey(cache, "config get notify-keyspace-events").split()[-1]
    assert set(events) == set("Egx"), "Spring expires sessions by these events"
    assert valkey(cache, "config get maxmemory-policy").split()[-1] == "noeviction", "no session is evicted"
    assert int(valkey(cache, "config get maxmemory").split()[-1]) == 48 * 1024**2, "three quarters of 64 MB"
    assert "ERR unknown command" in valkey(cache, "replicaof 192.0.2.1 6379 2>&1"), (
        "it cannot be turned into a replica of another server"
    )


def test_a_session_survives_a_kill(cache: Container) -> None:
    valkey(cache, "set session alive")
    until(lambda: valkey(cache, "info persistence").count("aof_pending_bio_fsync:0"), "the AOF to be on disk")
    cache.kill()
    cache.start()
    until(lambda: healthy(cache), "the cache to be healthy again", container=cache)
    assert valkey(cache, "get session") == "alive", "users stay logged in"
    assert shell_output(cache, "ls /data") == "appendonly-one", "the AOF of these sessions and no snapshot"
    assert PASSWORD not in logs(cache), "the log shows the password"
