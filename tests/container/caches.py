"""A cache as the program starts it, with a volume of its own and sessions in it."""

from collections.abc import Mapping

from docker.models.containers import Container

from components.cache.cache import ENDPOINT, SCRIPTS, UID
from components.orchestrator.container_paths import FILES, SECRETS
from components.templates.rendering import render
from tests.support.commands import execute, shell_output
from tests.support.containers import Containers
from tests.support.project import VALKEY
from tests.support.waiting import until

PASSWORD = 'p"\\a $s{s} ü#'  # noqa: S105 - of servers that live for these tests
MEMORY_MB = 64
SESSIONS = 200
MEGABYTE = 1024 * 1024


def cache_files(memory_mb: int = MEMORY_MB, more: str = "") -> Mapping[str, str]:
    """Return the files of a cache; `more` are further lines of its configuration."""
    conf = render("cache/valkey.conf.j2", endpoint=ENDPOINT, password=PASSWORD, sessions="one", memory_mb=memory_mb)
    scripts = {f"{FILES}/{name}": render(f"cache/{name}") for name in SCRIPTS}
    return {f"{FILES}/valkey.conf": conf + more, f"{SECRETS}/cache-password": PASSWORD, **scripts}


def create_cache(
    containers: Containers,
    volume: str,
    *,
    image: str = VALKEY,
    alias: str = "",
    limit_mb: int = MEMORY_MB,
    files: Mapping[str, str] | None = None,
) -> Container:
    """Create a cache whose data is on a volume."""
    return containers.create(
        image,
        entrypoint=["/bin/sh", f"{FILES}/start.sh"],
        files=files or cache_files(),
        alias=alias,
        user=f"{UID}:{UID}",
        mem_limit=f"{limit_mb}m",
        tmpfs={"/tmp": "size=16m"},  # noqa: S108
        volumes={volume: {"bind": "/data"}},
    )


def start_cache(container: Container) -> Container:
    """Start a cache and return it when it is healthy."""
    container.start()
    until(lambda: is_healthy(container), "the cache to be healthy", container=container)
    return container


def health(container: Container) -> tuple[int, str]:
    """Return exit code and output of the healthcheck."""
    return execute(container, "/bin/sh", f"{FILES}/health.sh")


def is_healthy(container: Container) -> bool:
    """Return whether the healthcheck succeeds."""
    return health(container)[0] == 0


def valkey(container: Container, command: str) -> str:
    """Return the reply to a command sent with the password."""
    secret = f"{SECRETS}/cache-password"
    return shell_output(container, f'REDISCLI_AUTH="$(cat {secret})" valkey-cli --no-auth-warning {command}')


def add_sessions(container: Container, name: str, count: int = SESSIONS) -> None:
    """Write hashes with a time to live, as Spring Session does, and wait until they are in the AOF."""
    script = f"""for i = 1, {count} do
        local key = "spring:session:sessions:{name}-" .. i
        redis.call("HSET", key, "creationTime", i, "maxInactiveInterval", 3600, "sessionAttr:user", "admin")
        redis.call("PEXPIRE", key, 3600000)
    end"""
    valkey(container, f"eval '{script}' 0")
    until(lambda: valkey(container, "info persistence").count("aof_pending_bio_fsync:0"), "the AOF to be on disk")


def fill(container: Container, count: int = 60) -> str:
    """Write so many values of one MB and return the replies; the server refuses writes when it is full."""
    write = rf"""EVAL \"redis.call('SET', 'filler:$i', string.rep('x', {MEGABYTE}))\" 0"""
    return shell_output(container, f'. {FILES}/client.sh; for i in $(seq {count}); do echo "{write}"; done | client')


def rewrite_aof(container: Container) -> None:
    """Have the server write all sessions into a new base file."""
    rewrites = "info persistence | tr -d '\\r' | grep -E '^aof_(base_size|rewrite_in_progress|rewrite_scheduled)'"
    before = valkey(container, rewrites)
    valkey(container, "bgrewriteaof")
    until(lambda: valkey(container, rewrites) != before and "progress:0" in valkey(container, rewrites), "the rewrite")


def sessions(container: Container) -> int:
    """Return how many sessions the cache has."""
    return int(valkey(container, "dbsize"))
