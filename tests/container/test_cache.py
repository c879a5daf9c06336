"""The cache in a real Valkey: authentication, persistence, healthcheck, signals."""

import pytest
from docker.models.containers import Container

from components.cache.cache import ENDPOINT, UID, flush
from components.orchestrator.container_paths import FILES
from tests.container.caches import (
    MEGABYTE,
    PASSWORD,
    add_sessions,
    cache_files,
    create_cache,
    fill,
    health,
    is_healthy,
    sessions,
    start_cache,
    valkey,
)
from tests.support.commands import execute, logs, shell, shell_output
from tests.support.containers import Containers
from tests.support.project import NGINX, VALKEY
from tests.support.waiting import until, until_exited

pytestmark = pytest.mark.container


@pytest.fixture(scope="module")
def cache(containers: Containers) -> Container:
    """Start a cache whose password has every character that could break its file."""
    return start_cache(create_cache(containers, containers.volume("shared"), alias=ENDPOINT.host))


def test_commands_without_the_password_are_refused(containers: Containers, cache: Container) -> None:
    stranger = containers.start(VALKEY, "sleep", "60", user=f"{UID}:{UID}")
    for attempt in ("get session", "-a wrong --no-auth-warning get session", "config get requirepass"):
        answer = shell_output(stranger, f"valkey-cli -h cache {attempt} 2>&1 || true")
        assert "NOAUTH" in answer or "WRONGPASS" in answer, f"sessions are as good as passwords: {answer}"


def test_the_healthcheck_fails_when_its_password_is_refused(cache: Container) -> None:
    copy = f"sed 's#/opt.*cache-password#/etc/hostname#' {FILES}/client.sh >/tmp/client.sh; cp {FILES}/health.sh /tmp"
    code, output = shell(cache, f"{copy}; sh /tmp/health.sh")
    assert code == 1 and "PONG" not in output, "the client exits with 0 when it is refused"
    assert output.startswith("the cache answers: "), output


def test_the_password_is_in_no_environment_and_no_argument(cache: Container) -> None:
    readable = shell_output(cache, "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' || true")
    assert "valkey-server" in readable and PASSWORD not in readable, readable


def test_the_server_is_configured_as_dhis2_needs_it(cache: Container) -> None:
    events = valkey(cache, "config get notify-keyspace-events").split()[-1]
    assert set(events) == set("Egx"), "Spring expires sessions by these events"
    assert valkey(cache, "config get maxmemory-policy").split()[-1] == "noeviction", "no session is evicted"
    assert int(valkey(cache, "config get maxmemory").split()[-1]) == 48 * MEGABYTE, "three quarters of 64 MB"
    assert "ERR unknown command" in valkey(cache, "replicaof 192.0.2.1 6379 2>&1"), (
        "it cannot be turned into a replica of another server"
    )


def test_a_session_survives_a_kill(containers: Containers) -> None:
    cache = start_cache(create_cache(containers, containers.volume("killed")))
    add_sessions(cache, "alive")
    before = sessions(cache)
    cache.kill()
    start_cache(cache)
    assert sessions(cache) == before, "users stay logged in"
    assert shell_output(cache, "ls /data") == "appendonly-one", "the AOF of these sessions and no snapshot"
    assert PASSWORD not in logs(cache), "the log shows the password"


def test_a_session_survives_a_stop_and_the_server_ends_by_itself(containers: Containers) -> None:
    cache = start_cache(create_cache(containers, containers.volume("stopped")))
    valkey(cache, "set session alive")
    cache.stop(timeout=20)
    assert cache.wait()["StatusCode"] == 0, "the signal reaches the server, and Docker does not kill it"
    start_cache(cache)
    assert valkey(cache, "get session") == "alive", "what was written in the last second too"


def test_a_full_cache_is_unhealthy_and_its_healthcheck_has_the_command(containers: Containers) -> None:
    volume = containers.volume("full")
    cache = start_cache(create_cache(containers, volume))
    add_sessions(cache, "alive")
    before = sessions(cache)
    assert "OOM command not allowed" in fill(cache)
    code, output = health(cache)
    assert code == 1 and output.startswith("fatal: the cache is full (48 of 48 MB)"), output
    assert "pulumi config set cacheMemory 128 && pulumi up" in output
    assert health(cache) == (code, output), "it changes nothing"
    cache.stop(timeout=20)
    more = start_cache(create_cache(containers, volume, limit_mb=128, files=cache_files(128)))
    assert sessions(more) > before, "with more memory it works at once, and users stay logged in"
    assert valkey(more, "set new session") == "OK"


def test_refused_writes_count_for_a_minute(containers: Containers) -> None:
    cache = start_cache(create_cache(containers, containers.volume("edge")))
    assert "OOM command not allowed" in fill(cache)
    valkey(cache, "del filler:1 filler:2")
    assert valkey(cache, "set new session") == "OK", "it accepts writes again"
    assert "is full (4" in health(cache)[1], "at the edge of its memory that changes with each session"
    shell_output(cache, "touch -d '2000-01-01 00:00:00' /tmp/refused-writes")
    assert is_healthy(cache), "no write was refused lately"
    valkey(cache, "set new session")
    assert is_healthy(cache), "the counter of the server stays where it is"


def test_dropping_all_keys_of_a_full_cache_is_allowed(containers: Containers) -> None:
    cache = start_cache(create_cache(containers, containers.volume("flushed")))
    assert "OOM command not allowed" in fill(cache)
    assert execute(cache, *flush("127.0.0.1")) == (0, "OK")


def test_an_image_without_valkey_is_named_with_the_setting(containers: Containers) -> None:
    cache = create_cache(containers, containers.volume("other"), image=NGINX)
    cache.start()
    assert (
        "fatal: this image has no valkey-server; go back to the default one: pulumi config rm cacheImage"
        in until_exited(cache)
    )


def test_a_server_that_crashes_later_loses_no_session(containers: Containers) -> None:
    cache = start_cache(create_cache(containers, containers.volume("crashed")))
    add_sessions(cache, "alive")
    before = sessions(cache)
    shell(cache, "kill -SEGV $(pidof valkey-server)")
    until(lambda: cache.wait()["StatusCode"] != 0, "the container to exit")
    start_cache(cache)
    assert sessions(cache) == before
    assert shell_output(cache, "ls /data") == "appendonly-one", "only an AOF that cannot be loaded is set aside"
