"""What is put into the cache."""

import re

import jinja2
import pytest

from components.templates.escaping import valkey_string
from components.templates.rendering import render

VALUES = {"password": "secret", "memory_mb": 256, "generation": "one"}


def conf(**values: object) -> dict[str, str]:
    """The directives of valkey.conf, each with the rest of its line."""
    lines = render("cache/valkey.conf.j2", **{**VALUES, **values}).splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def test_sessions_are_never_evicted_and_there_is_room_to_rewrite_the_log() -> None:
    assert conf()["maxmemory-policy"] == "noeviction", "every session key has a time to live and would be evicted"
    assert conf()["maxmemory"] == "192mb", "a quarter of the limit is left for the copy and the clients"


def test_sessions_survive_and_end() -> None:
    assert (conf()["appendonly"], conf()["appendfsync"]) == ("yes", "everysec"), "a restart would log everybody out"
    assert conf()["notify-keyspace-events"] == "Egx", "DHIS2 never asks for the events by which sessions end"


def test_another_generation_does_not_read_the_old_sessions() -> None:
    assert conf(generation="two")["appenddirname"] != conf()["appenddirname"], "their classes may be others"


@pytest.mark.parametrize("missing", sorted(VALUES))
def test_no_value_may_be_missing(missing: str) -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("cache/valkey.conf.j2", **{name: value for name, value in VALUES.items() if name != missing})


@pytest.mark.parametrize(
    "text", ["plain", 'a"b', "back\\slash", "two words", "# hash", "'", "line\nbreak", "ü", "\\x41", ""]
)
def test_a_string_stays_on_its_line_and_means_itself(text: str) -> None:
    written = valkey_string(text)
    assert "\n" not in written, "a directive is one line"
    assert written.isascii(), "bytes are written as such"

    def byte(match: re.Match[bytes]) -> bytes:
        escaped = match.group(1)
        return bytes([int(escaped[1:], 16)]) if len(escaped) > 1 else escaped

    assert re.sub(rb"\\(x[0-9a-f]{2}|.)", byte, written[1:-1].encode()).decode() == text, "the server unescapes it"
