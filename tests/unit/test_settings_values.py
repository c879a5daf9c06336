"""Values at the edge of what a setting takes, and what a person reads of one that is refused."""

import pytest

from components.settings.model import setting_fields
from components.settings.parsing import parse_settings
from tests.unit.test_settings import PASSWORD, mistakes

TAKEN: list[tuple[str, object, object]] = [
    ("version", 2.42, "2.42"),
    ("version", " 42 ", "42"),
    ("dumpUrl", "HTTPS://example.org/x", "HTTPS://example.org/x"),
    ("cores", " 16 ", 16),
    ("replicas", "0", 0),
    ("port", 65535, 65535),
    ("bind", "[::1]", "::1"),
    ("bind", "2001:DB8::7", "2001:db8::7"),
    ("baseUrl", "HTTPS://example.org/A", "https://example.org/A"),
    ("coreMemory", "512", 512),
    ("javaOptions", "@/srv/options", "@/srv/options"),
    ("javaOptions", "--add-opens java.base/java.lang=ALL-UNNAMED", "--add-opens java.base/java.lang=ALL-UNNAMED"),
    ("javaOptions", "'-Da=b c'", "'-Da=b c'"),
    ("dhisConf", {"a": False, "b": 1.5}, {"a": "off", "b": "1.5"}),
    ("keepData", " true ", True),
    ("readyTimeout", 86400, 86400),
    ("dockerHost", "npipe:////./pipe/docker_engine", "npipe:////./pipe/docker_engine"),
    ("dockerHost", "tcp://[::1]:2375", "tcp://[::1]:2375"),
]


@pytest.mark.parametrize(("key", "value", "expected"), TAKEN)
def test_what_is_meant_is_taken(key: str, value: object, expected: object) -> None:
    taken = parse_settings({key: value}).model_dump(by_alias=True)
    assert taken[key] == expected


@pytest.mark.parametrize("value", [PASSWORD, "Aa1!xxxx", "Aa1!" * 18, "Aa1!ä" * 12, " Aa1 xxx "])
def test_a_password_dhis2_takes_is_taken_as_it_is(value: str) -> None:
    password = parse_settings({"adminPassword": value}).admin_password
    assert password and password.get_secret_value() == value, "the person will type all of it"


# A setting, a wrong value, and the sentence that says so
SENTENCES: list[tuple[str, object, str]] = [
    ("cores", "two", '"two" is not a whole number; 1 to 16 are allowed'),
    ("cores", 0, "0 is not from 1 to 16 (somebody has to serve; to stop all: pulumi destroy)"),
    ("cores", 17, "17 is not from 1 to 16;"),
    ("replicas", "6", '"6" is not from 0 to 5 (DHIS2 reads from at most 5)'),
    ("coreMemory", 511, "511 is not from 512 to 1048576 (Tomcat and the web application do not start in less)"),
    ("databaseMemory", 2147483648, "is not from 256 to 1048576 (the unit is MB)"),
    ("coreMemory", "4g", '"4g" is not a whole number (of megabytes, without a unit)'),
    ("keepData", "yes", '"yes" is neither true nor false;'),
    ("version", True, "true is not a text;"),
    ("image", "dhis2/core", '"dhis2/core" names no version, and Docker would take whatever is latest'),
    ("dumpUrl", "no-such-file.gz", "is no file here (paths start at the project's directory)"),
    ("dumpUrl", "example.org/x.gz", "is no file here; a web address begins with https://"),
    ("baseUrl", "https://x/", "ends with a slash"),
    ("adminPassword", "weak", "its value is not 8 to 72 characters long, has no upper-case letter, has no digit,"),
    ("adminPassword", "Correct-Horse\n7", "its value has line breaks or control characters: DHIS2 would refuse it"),
]


@pytest.mark.parametrize(("key", "value", "sentence"), SENTENCES)
def test_a_refusal_says_what_is_wrong(key: str, value: object, sentence: str) -> None:
    (line,) = mistakes({key: value})
    assert sentence in line


# A setting, a wrong value, and what to set instead
HINTS: list[tuple[str, object, str]] = [
    ("coreMemory", "4g", "4096"),
    ("databaseMemory", "2048MB", "2048"),
    ("coreMemory", "64m", "3072"),  # 64 is too little too
    ("coreMemory", "2048g", "3072"),  # and this too much
    ("bind", "localhost", "127.0.0.1"),
    ("dumpUrl", "example.org/x.gz", "https://example.org/x.gz"),
    ("baseUrl", "dhis2.example.org/", "https://dhis2.example.org"),
    ("baseUrl", "https://x/", "https://x"),
    ("baseUrl", "ftp://x", "https://dhis2.example.org"),
    ("baseUrl", "example.org/a&b", "'https://example.org/a&b'"),  # or a shell would start two commands
    ("javaOptions", "Xmx1g", "-- -XX:MaxRAMPercentage=75"),  # pulumi would take it for an option of its own
    ("dockerHost", "unix://", "unix:///var/run/docker.sock"),
    ("dockerHost", "ssh://me:word@there", "ssh://me@there"),
]


@pytest.mark.parametrize(("key", "value", "instead"), HINTS)
def test_what_was_meant_is_offered(key: str, value: object, instead: str) -> None:
    (line,) = mistakes({key: value})
    assert line.endswith(f"mend it with: pulumi config set {key} {instead}")


def test_a_refusal_of_a_text_names_no_range() -> None:
    assert "allowed" not in mistakes({"image": "dhis2/core"})[0], "None to None helps nobody"


def test_the_length_of_what_is_shown_is_bounded() -> None:
    (line,) = mistakes({"image": "x" * 5000})
    assert len(line) < 300 and "…" in line, "a page of it hides the other mistakes"


def test_every_number_has_an_example_within_its_range() -> None:
    for key, field in setting_fields().items():
        if field.examples and isinstance(field.examples[0], int):
            assert mistakes({key: field.examples[0]}) == [], "it is what a person is told to set"
