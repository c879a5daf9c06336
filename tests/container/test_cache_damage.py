"""An AOF that the server cannot load costs the sessions, never the service; nothing else costs the sessions."""

import pytest
from docker.models.containers import Container

from components.cache.cache import READ_MARKER
from components.orchestrator.container_paths import FILES
from tests.container.caches import (
    add_sessions,
    cache_files,
    create_cache,
    fill,
    is_healthy,
    rewrite_aof,
    sessions,
    start_cache,
    valkey,
)
from tests.support.commands import execute, logs, shell, shell_output
from tests.support.containers import Containers
from tests.support.waiting import until, until_exited

pytestmark = pytest.mark.container

DROPPED = "all sessions are dropped, users have to log in again"
AOF = "/data/appendonly-one"
SIZE = "$(stat -c %s $incr)"
# Commands that damage the AOF: `base`, `incr` and `manifest` are its files.
DAMAGES = {
    "zeros in the middle": f"dd if=/dev/zero of=$incr bs=1 count=100 seek=$(({SIZE} / 2)) conv=notrunc",
    "zeros at the beginning": "dd if=/dev/zero of=$incr bs=1 count=100 conv=notrunc",
    "other text": "echo not an AOF >$incr",
    "a command of a newer server": "printf '*1\\r\\n$12\\r\\nNEWERCOMMAND\\r\\n' >>$incr",
    "an incr file that is missing": "rm $incr",
    "an incr file that is a directory": "rm $incr && mkdir $incr",
    "a base file that is cut": "truncate -s 1000 $base",
    "a base file that is empty": "truncate -s 0 $base",
    "a base file that is missing": "rm $base",
    "a base file with other bytes": "printf XXXX | dd of=$base bs=1 seek=2000 conv=notrunc",
    "a base file of a newer server": "printf 0099 | dd of=$base bs=1 seek=5 conv=notrunc",
    "a base file of Valkey 9": "printf VALKEY080 | dd of=$base bs=1 conv=notrunc",
    "a base file that is a pipe": "rm $base && mkfifo $base",
    "a manifest with other text": "echo not a manifest >$manifest",
    "a manifest that is empty": "truncate -s 0 $manifest",
    "a manifest that is cut in a line": "truncate -s 60 $manifest",
    "a manifest that is cut between lines": "sed -i '2,$d' $manifest",
    "a manifest that is missing": "rm $manifest",
    "a manifest that is a directory": "rm $manifest && mkdir $manifest",
    "a file in place of the directory": f"rm -r {AOF} && echo text >{AOF}",
}


@pytest.fixture
def cache(containers: Containers) -> Container:
    """Start a cache with sessions in the base file and in the incr file of its AOF."""
    cache = start_cache(create_cache(containers, containers.volume("damaged")))
    add_sessions(cache, "old")
    rewrite_aof(cache)
    add_sessions(cache, "new")
    return cache


def damage(cache: Container, command: str) -> None:
    """Run a command with the files of the AOF, and kill the server before it writes again."""
    files = f"base=$(ls {AOF}/*.base.rdb) incr=$(ls {AOF}/*.incr.aof) manifest=$(ls {AOF}/*.manifest)"
    shell_output(cache, f"{files}; {command}")
    cache.kill()


def log_since_start(cache: Container) -> str:
    """Return what a cache has logged since it was started last."""
    started = cache.attrs["State"]["StartedAt"]
    cache.reload()
    assert cache.attrs["State"]["StartedAt"] != started
    return logs(cache)


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_aof_is_set_aside_and_the_cache_runs(cache: Container, kind: str) -> None:
    damage(cache, DAMAGES[kind])
    start_cache(cache)
    assert sessions(cache) == 0, f"{kind}: half of the sessions are worse than none"
    dropped = [line for line in logs(cache).splitlines() if DROPPED in line]
    assert len(dropped) == 1 and "the AOF is kept in /data/damaged" in dropped[0], f"{kind}: one line: {dropped}"
    assert shell_output(cache, "ls /data").split() == ["appendonly-one", "damaged"]
    assert shell_output(cache, "ls /data/damaged").split() == ["aof", "marker"]
    code, marker = execute(cache, "sh", "-c", READ_MARKER)
    assert code == 0 and "reason=" in marker and "at=20" in marker, marker
    assert execute(cache, "sh", "-c", READ_MARKER) == (1, ""), "it is reported once"
    add_sessions(cache, "later")
    before = sessions(cache)
    cache.kill()
    start_cache(cache)
    assert sessions(cache) == before, "from then on sessions survive"
    assert logs(cache).count(DROPPED) == 1


def test_only_the_last_damaged_aof_is_kept(cache: Container) -> None:
    for content in ("first", "second"):
        damage(cache, f"echo {content} >$incr")
        start_cache(cache)
    assert shell_output(cache, "ls /data").split() == ["appendonly-one", "damaged"], "the disk use is bounded"
    assert shell_output(cache, "cat /data/damaged/aof/*.incr.aof") == "second"


def test_an_incomplete_last_write_costs_that_write_only(cache: Container) -> None:
    before = sessions(cache)
    damage(cache, "printf '*3\\r\\n$3\\r\\nSET\\r\\n$3\\r\\nke' >>$incr")
    start_cache(cache)
    assert sessions(cache) == before, "what a power failure leaves is no damage"


@pytest.mark.parametrize("moment", ["before the start", "after the start"])
def test_a_kill_while_the_aof_is_set_aside_is_completed_by_the_next_start(cache: Container, moment: str) -> None:
    empty = f"mkdir {AOF}" if moment == "after the start" else "true"
    damage(
        cache,
        f"mkdir /data/damaged.pending && echo reason=x >/data/damaged.pending/marker && mv {AOF} /data/damaged.pending/aof && {empty}",
    )
    start_cache(cache)
    assert logs(cache).count(DROPPED) == 1
    assert shell_output(cache, "ls /data").split() == ["appendonly-one", "damaged"]


def test_a_server_whose_aof_is_set_aside_during_the_healthcheck_is_unhealthy(cache: Container) -> None:
    set_aside = "mkdir -p /data/damaged.pending/aof"
    shell_output(cache, f"mkdir /data/bin && printf '#!/bin/sh\\n%s\\n' '{set_aside}' >/data/bin/valkey-cli")
    shell_output(cache, "echo exec $(command -v valkey-cli) '\"$@\"' >>/data/bin/valkey-cli && chmod +x /data/bin/*")
    code, output = shell(cache, f"PATH=/data/bin:$PATH /bin/sh {FILES}/health.sh")
    assert (code, output) == (1, "the cache starts with an empty AOF, the one before is set aside")


def test_the_aof_of_an_older_dhis2_version_or_dump_is_removed(cache: Container) -> None:
    before = sessions(cache)
    shell_output(cache, "mkdir /data/appendonly-zero && echo x >/data/appendonly-zero/appendonly.aof.1.incr.aof")
    cache.kill()
    start_cache(cache)
    assert shell_output(cache, "ls /data") == "appendonly-one", "no server reads it again"
    assert sessions(cache) == before


def refused(containers: Containers, volume: str, **options: object) -> str:
    """Return the log of a cache that does not start on a volume."""
    other = create_cache(containers, volume, **options)  # type: ignore[arg-type]
    other.start()
    return until_exited(other)


def volume_of(cache: Container) -> str:
    """Return the name of the volume of a cache."""
    return next(str(mount["Name"]) for mount in cache.attrs["Mounts"] if mount["Destination"] == "/data")


def test_files_of_another_user_are_no_damage(containers: Containers, cache: Container) -> None:
    before = sessions(cache)
    damage(cache, "chmod 000 $base")
    log = refused(containers, volume_of(cache))
    assert "base.rdb is not readable and writable for user 999: it belongs to another user" in log, log
    cache.start()
    assert "fatal: " in until_exited(cache)
    fix = containers.start(
        "dhis2-cluster/valkey:8",
        "sh",
        "-c",
        f"chmod 600 {AOF}/*.base.rdb",
        user="999:999",
        volumes=[f"{volume_of(cache)}:/data"],
    )
    fix.wait()
    start_cache(cache)
    assert sessions(cache) == before and DROPPED not in logs(cache)


def test_an_invalid_configuration_is_no_damage(containers: Containers, cache: Container) -> None:
    before = sessions(cache)
    cache.stop()
    log = refused(containers, volume_of(cache), files=cache_files(more="no-such-directive yes\n"))
    assert "no-such-directive" in log and "the AOF is put back" in log, log
    start_cache(cache)
    assert sessions(cache) == before and DROPPED not in logs(cache)


def test_a_server_that_is_oom_killed_while_it_loads_keeps_its_aof(containers: Containers, cache: Container) -> None:
    fill(cache, 30)
    before = sessions(cache)
    cache.stop(timeout=20)
    log = refused(containers, volume_of(cache), limit_mb=16)
    assert "fatal: the cache was killed while it loaded its AOF" in log, log
    assert "pulumi config set cacheMemory 128" in log
    start_cache(cache)
    assert sessions(cache) == before and DROPPED not in logs(cache)


def test_a_full_disk_is_no_damage(containers: Containers) -> None:
    disk = containers.volume("small", type="tmpfs", device="tmpfs", o="size=2m,uid=999,gid=999")
    keeper = containers.start("dhis2-cluster/valkey:8", "sleep", "600", user="999:999", volumes=[f"{disk}:/data"])
    cache = start_cache(create_cache(containers, disk))
    add_sessions(cache, "old")
    before = sessions(cache)
    shell(keeper, "cat /dev/zero >/data/filler")
    valkey(cache, "eval \"redis.call('SET', 'new', string.rep('x', 20000))\" 0")
    until(lambda: not is_healthy(cache), "the cache to notice")
    code, output = execute(cache, "sh", f"{FILES}/health.sh")
    assert code == 1 and "cannot write its AOF" in output and "disk of its volume is full" in output
    cache.kill()
    cache.start()
    assert "fatal: /data is not writable for user 999" in until_exited(cache)
    shell_output(keeper, "rm /data/filler")
    start_cache(cache)
    assert sessions(cache) >= before and DROPPED not in logs(cache)
