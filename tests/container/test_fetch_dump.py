"""fetch-dump.sh in the NGINX image: what comes into the cache, what does not, and what it says then."""

import gzip
import hashlib
import json
import time

import pytest
from docker.models.containers import Container

from components.database.dump_fetch import CACHE_SCRIPT, FETCH_SCRIPT
from components.orchestrator.container_paths import FILES, SECRETS
from components.templates.rendering import render
from tests.container.databases import dump
from tests.support.archive import packed
from tests.support.commands import logs, shell
from tests.support.containers import Containers
from tests.support.project import NGINX, POSTGRES
from tests.support.waiting import until, until_exited, until_logged

pytestmark = pytest.mark.container

PLAIN = b"--\n-- PostgreSQL database dump\n--\nCREATE TABLE a (b integer);\n-- PostgreSQL database dump complete\n"
REFUSED = {
    "missing.sql.gz": "404",
    "denied": "403",
    "guarded/good.sql.gz": "401",
    "page": "web page",
    "page.html.gz": "web page",
    "cut.sql.gz": "truncated",
    "empty.sql.gz": "empty",
    "archive.zip": "zip",
    "text.txt": "neither",
    "utf16.sql": "UTF-16",
}
SERVER = """
pid /tmp/nginx.pid;
events {}
http {
    client_body_temp_path /tmp/c; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f;
    uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
    server {
        listen 8080;
        root /srv;
        default_type application/octet-stream;
        location /slow/ { alias /srv/; limit_rate 800k; }
        location /denied { return 403; }
        location /failing { return 500; }
        location /page { return 200 "<!DOCTYPE html><html><body>Sign in</body></html>"; }
        location /guarded/ { alias /srv/; if ($http_authorization != "Basic dXNlcjpwYSJzcw==") { return 401; } }
    }
}
"""


class Fetches:
    """Fetch containers on one cache volume, and a web server that has the dumps."""

    def __init__(self, containers: Containers, content: dict[str, bytes]) -> None:
        self.containers = containers
        self.cache = containers.volume("cache")
        files: dict[str, str | bytes] = {f"/srv/{name}": data for name, data in content.items()}
        self.web = containers.start(
            NGINX,
            entrypoint=["nginx", "-c", "/etc/nginx/test.conf", "-g", "daemon off;"],
            files=files | {"/etc/nginx/test.conf": SERVER},
            alias="web",
        )
        # A reader that stays: it mounts the cache as the primary does.
        mounts = {self.cache: {"bind": "/dumps", "mode": "ro"}}
        self.reader = containers.start(POSTGRES, entrypoint=["sleep", "600"], user="999:999", volumes=mounts)

    def fetch(self, path: str, key: str, source: str = "url", *, user: str = "", cache: str = "") -> Container:
        """Start a fetch into the cache, or into another volume."""
        address = f"http://{user}web:8080/{path}"
        files: dict[str, str | bytes] = {
            f"{FILES}/{script}": render(f"database/{script}") for script in (FETCH_SCRIPT, CACHE_SCRIPT)
        }
        if source == "url":
            files[f"{SECRETS}/dump-url"] = address
        return self.containers.start(
            NGINX,
            entrypoint=["/bin/sh", f"{FILES}/fetch-dump.sh"],
            files=files,
            user="101:101",
            environment={"DUMP_KEY": key, "DUMP_NAME": path, "DUMP_SOURCE": source},
            volumes={cache or self.cache: {"bind": "/var/tmp", "mode": "rw"}},  # noqa: S108
            mem_limit="128m",
        )

    def cached(self, key: str) -> bytes | None:
        """What the cache has under a key, when it has both of its files and they agree."""
        code, text = shell(self.reader, f"cat /dumps/{key}.sha256 && sha256sum </dumps/{key} && ls /dumps")
        if code:
            return None
        promised, found = text.split("\n")[:2]
        assert promised.split()[0] == found.split()[0], "the sum beside a dump is the dump's"
        return found.split()[0].encode()

    def change(self, command: str) -> None:
        """Run a shell command in the cache's folder, as the user who fetches."""
        mounts = {self.cache: {"bind": "/var/tmp", "mode": "rw"}}  # noqa: S108
        until_exited(
            self.containers.start(
                NGINX, entrypoint=["sh", "-c", f"cd /var/tmp && {command}"], user="101:101", volumes=mounts
            )
        )

    def names(self) -> list[str]:
        """The names in the cache."""
        return shell(self.reader, "ls /dumps")[1].split()


def key_of(name: str) -> str:
    """A key as the program makes them."""
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return dump(tmp_path_factory.mktemp("fetch"))


@pytest.fixture(scope="module")
def fetches(containers: Containers, good: bytes) -> Fetches:
    noise = b"".join(hashlib.sha512(str(n).encode()).digest() for n in range(90_000))
    content = {
        "good.sql.gz": good,
        "plain.sql": PLAIN,
        "big.sql.gz": gzip.compress(PLAIN + b"-- " + noise.hex().encode(), 1),
        "custom.dump": b"PGDMP\x01\x10\x00" + bytes(100),
        "cut.sql.gz": good[: len(good) // 2],
        "empty.sql.gz": b"",
        "archive.zip": b"PK\x03\x04" + bytes(100),
        "text.txt": b"just some words\n",
        "utf16.sql": PLAIN.decode().encode("utf-16"),
        "directory.tar": packed({"dump/toc.dat": b"PGDMP\x01\x10\x00", "dump/3.dat.gz": b""}),
        "page.html.gz": gzip.compress(b"<html><body>no</body></html>"),
    }
    return Fetches(containers, content)


@pytest.mark.parametrize("name", ["good.sql.gz", "plain.sql", "custom.dump", "directory.tar"])
def test_a_dump_is_cached_whole_and_the_second_time_not_fetched(fetches: Fetches, name: str) -> None:
    log = until_exited(fetches.fetch(name, key_of(name)))
    assert "is complete" in log, log
    assert fetches.cached(key_of(name)), "the primary reads it, as another user"
    again = fetches.fetch("gone-meanwhile", key_of(name))
    assert "is in the cache" in until_exited(again), "an address is its own identity, whatever it serves later"
    assert again.wait()["StatusCode"] == 0


def test_a_damaged_copy_is_fetched_again(fetches: Fetches) -> None:
    key = key_of("damaged")
    assert "is complete" in until_exited(fetches.fetch("plain.sql", key))
    fetches.change(f"echo oops >>{key}")
    log = until_exited(fetches.fetch("plain.sql", key))
    assert "is damaged" in log and "is complete" in log, log
    assert fetches.cached(key) == hashlib.sha256(PLAIN).hexdigest().encode()


@pytest.fixture(scope="module")
def refused(fetches: Fetches) -> dict[str, Container]:
    """Fetches that must fail, all at the same time."""
    return {path: fetches.fetch(path, key_of(path)) for path in REFUSED}


@pytest.mark.parametrize(("path", "cause"), REFUSED.items())
def test_what_is_no_dump_is_refused_by_name_and_cause_and_leaves_nothing(
    fetches: Fetches, refused: dict[str, Container], path: str, cause: str
) -> None:
    container = refused[path]
    log = until_exited(container)
    assert container.wait()["StatusCode"] == 1, log
    last = log.strip().splitlines()[-1]
    assert last.startswith(f"fatal: the dump {path} "), last
    assert cause in last, "it says what is wrong"
    assert "pulumi config set dumpUrl" in last, "and the command that fixes it"
    # The file of the lock stays: a lock that is removed is no lock for those who wait for it.
    left = [name for name in fetches.names() if name.startswith(key_of(path)) and not name.endswith(".lock")]
    assert not left, "nothing of it is used later"


def test_a_password_in_the_address_is_used_and_shown_nowhere(fetches: Fetches) -> None:
    container = fetches.fetch("guarded/good.sql.gz", key_of("guarded"), user='user:pa"ss@')
    log = until_exited(container)
    assert "is complete" in log, log
    container.reload()
    assert 'pa"ss' not in log + json.dumps(container.attrs), "neither logs nor docker inspect hold secrets"


def test_no_dump_needs_no_fetch(fetches: Fetches) -> None:
    container = fetches.fetch("none", "none")
    until_exited(container)
    assert container.wait()["StatusCode"] == 0


def test_a_killed_download_is_resumed_and_never_used_half(fetches: Fetches) -> None:
    key = key_of("killed")
    first = fetches.fetch("slow/big.sql.gz", key)
    until_logged(first, "download ")
    until(lambda: f"{key}.part.tag" in fetches.names(), "the tag", container=fetches.reader)
    code, arguments = shell(first, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert code == 0
    assert "curl" in arguments and "http://web" not in arguments, "an address may hold a password"
    first.kill()
    assert fetches.cached(key) is None, "half a dump has not its final name"
    half = int(shell(fetches.reader, f"wc -c </dumps/{key}.part")[1])
    assert half > 0
    first.start()
    log = until_exited(first)
    assert "is complete" in log, log
    assert "waiting for another stack" not in log, "its lock went with it"
    assert fetches.cached(key)
    answered = [line for line in logs(fetches.web).splitlines() if '"GET /slow/big.sql.gz' in line]
    assert any(" 206 " in line for line in answered), f"only the rest is asked for: {answered}"


def test_a_part_of_a_file_that_has_changed_meanwhile_is_not_resumed(fetches: Fetches) -> None:
    key = key_of("changed")
    fetches.change(f"echo 'rows of another file' >{key}.part && echo '\"another-tag\"' >{key}.part.tag")
    log = until_exited(fetches.fetch("plain.sql", key))
    assert "the file has changed meanwhile" in log and "is complete" in log, log
    assert fetches.cached(key) == hashlib.sha256(PLAIN).hexdigest().encode(), "two files are never mixed"


def test_a_dump_larger_than_the_free_disk_is_not_downloaded(fetches: Fetches) -> None:
    small = fetches.containers.volume("small", type="tmpfs", device="tmpfs", o="size=4m,mode=1777")
    log = until_exited(fetches.fetch("slow/big.sql.gz", key_of("large"), cache=small))
    last = log.strip().splitlines()[-1]
    assert last.startswith("fatal: the dump slow/big.sql.gz needs ") and "the disk of Docker Engine has" in last
    assert "docker system df" in last and "pulumi config set dockerHost" in last, "it names the fix"
    assert "%" not in log, "before most of it is downloaded"


@pytest.mark.parametrize(("name", "content"), [("good.sql.gz", None), ("plain.sql", PLAIN), ("custom.dump", None)])
def test_the_cache_has_the_size_of_a_dump_without_gzip(
    fetches: Fetches, good: bytes, name: str, content: bytes | None
) -> None:
    until_exited(fetches.fetch(name, key_of(name)))
    _, size, unpacked = shell(fetches.reader, f"cat /dumps/{key_of(name)}.sha256")[1].split()
    expected = len(gzip.decompress(good)) if name == "good.sql.gz" else int(size)
    assert int(unpacked) == expected, "the primary compares it with its disk"
    assert content is None or int(size) == len(content)


def test_two_stacks_that_want_the_same_dump_fetch_it_once(fetches: Fetches) -> None:
    key = key_of("both")
    first = fetches.fetch("slow/good.sql.gz", key)
    second = fetches.fetch("slow/good.sql.gz", key)
    both = [until_exited(first), until_exited(second)]
    assert sum("is complete" in log for log in both) == 1, both
    assert sum("is in the cache" in log for log in both) == 1, both


def test_a_delivered_file_is_checked_like_a_fetched_one(fetches: Fetches, good: bytes) -> None:
    for name, content in (("delivered", good), ("delivered-half", good[:-100])):
        key = key_of(name)
        container = fetches.fetch(name, key, "file")
        until_logged(container, "waiting for the dump")
        for file, data in ((f"{key}.incoming", content), (f"{key}.delivered", b"")):
            container.put_archive("/var/tmp", packed({file: data}, uid=101))  # noqa: S108
        log = until_exited(container)
        if name == "delivered":
            assert fetches.cached(key), log
        else:
            assert "truncated" in log and fetches.cached(key) is None, log
        assert not [name for name in fetches.names() if "incoming" in name or "delivered" in name], "taken away"


def test_dumps_unused_for_a_month_are_removed_but_never_the_wanted_one(fetches: Fetches) -> None:
    old, wanted = key_of("old"), key_of("plain.sql")
    until_exited(fetches.fetch("plain.sql", wanted))
    names = f"{old} {old}.sha256 {wanted} {wanted}.sha256 notes.txt"
    fetches.change(f"touch {names} && touch -d '40 days ago' {names}")
    until_exited(fetches.fetch("plain.sql", wanted))
    left = fetches.names()
    assert old not in left and f"{old}.sha256" not in left, "the cache is bounded"
    assert wanted in left, "what is wanted stays"
    assert "notes.txt" in left, "what is no dump is someone else's"


def test_what_a_fetch_left_unfinished_is_removed_after_a_week(fetches: Fetches) -> None:
    complete, *unfinished = (key_of("of-last-week") + suffix for suffix in ("", ".part", ".part.tag", ".lock"))
    fetches.change(f"touch -d '9 days ago' {complete} {' '.join(unfinished)}")
    until_exited(fetches.fetch("plain.sql", key_of("plain.sql")))
    assert set(fetches.names()) & {complete, *unfinished} == {complete}, "a complete dump stays for a month"


def test_a_server_that_fails_now_is_asked_again(fetches: Fetches) -> None:
    container = fetches.fetch("failing", key_of("failing"))
    until_logged(container, "resuming in")
    started = time.monotonic()
    container.stop(timeout=20)
    assert time.monotonic() - started < 15, "it ends when asked to"
    assert "500" in logs(container), "the cause is named"
    assert "waiting for another stack" not in until_exited(fetches.fetch("plain.sql", key_of("failing")))
