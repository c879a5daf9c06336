"""The configuration of the cache."""

import re

import jinja2
import pytest

from components.orchestrator.interface import Endpoint
from components.templates.escaping import valkey_string
from components.templates.rendering import render

VALUES = {"endpoint": Endpoint("cache", 6379), "password": "secret", "memory_mb": 256, "sessions": "one"}


def conf(**values: object) -> dict[str, str]:
    """The directives of valkey.conf with the rest of their lines."""
    lines = render("cache/valkey.conf.j2", **{**VALUES, **values}).splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def test_sessions_are_never_evicted_and_there_is_memory_for_an_aof_rewrite() -> None:
    assert conf()["maxmemory-policy"] == "noeviction", "every session key has a time to live and would be evicted"
    assert conf()["maxmemory"] == "192mb", "a quarter of the limit is left for copy-on-write and clients"


def test_sessions_survive_a_restart_and_expire() -> None:
    assert (conf()["appendonly"], conf()["appendfsync"]) == ("yes", "everysec"), "a restart would log all users out"
    assert conf()["notify-keyspace-events"] == "Egx", "DHIS2 never enables the events by which sessions expire"


def test_another_version_or_dump_does_not_read_the_old_sessions() -> None:
    assert conf(sessions="two")["appenddirname"] != conf()["appenddirname"], "their serialised classes may differ"


def test_the_server_listens_on_the_port_of_its_endpoint() -> None:
    assert conf(endpoint=Endpoint("cache", 7000))["port"] == "7000", "cores connect to the endpoint"


@pytest.mark.parametrize("missing", sorted(VALUES))
def test_no_value_may_be_missing(missing: str) -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("cache/valkey.conf.j2", **{name: value for name, value in VALUES.items() if name != missing})


@pytest.mark.parametrize(
    "text", ["plain", 'a"b', "back\\slash", "two words", "# hash", "'", "line\nbreak", "ü", "\\x41", ""]
)
def test_a_string_stays_on_its_line_and_is_read_back_unchanged(text: str) -> None:
    written = valkey_string(text)
    assert "\n" not in written, "a directive is one line"
    assert written.isascii(), "bytes are written as such"

    def byte(match: re.Match[bytes]) -> bytes:
        escaped = match.group(1)
        return bytes([int(escaped[1:], 16)]) if len(escaped) > 1 else escaped

    assert re.sub(rb"\\(x[0-9a-f]{2}|.)", byte, written[1:-1].encode()).decode() == text, "the server unescapes it"
