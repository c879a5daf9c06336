"""Values at the edge of what is valid, and the sentences about those that are not."""

import shlex
from pathlib import Path

import pytest

from components.settings.model import Tls, setting_fields
from components.settings.parsing import parse_settings
from tests.unit.test_settings import APP, PASSWORD, error_lines, in_project_with_files

VALID: list[tuple[str, object, object]] = [
    ("version", 2.42, "2.42"),
    ("version", " 42 ", "42"),
    ("dumpUrl", "HTTPS://example.org/x", "HTTPS://example.org/x"),
    ("cores", " 16 ", 16),
    ("replicas", "0", 0),
    ("port", 65535, 65535),
    ("bind", "[::1]", "::1"),
    ("bind", "2001:DB8::7", "2001:db8::7"),
    ("baseUrl", "HTTPS://example.org:8443", "https://example.org:8443"),
    ("trustedProxies", "10.0.0.5,192.168.1.0/24", ("10.0.0.5/32", "192.168.1.0/24")),
    ("trustedProxies", [" 10.0.0.5 ", "2001:DB8::/32"], ("10.0.0.5/32", "2001:db8::/32")),
    ("trustedProxies", '["10.0.0.5"]', ("10.0.0.5/32",)),
    ("trustedProxies", "10.0.0.6, 10.0.0.5, 10.0.0.6,", ("10.0.0.5/32", "10.0.0.6/32")),
    ("trustedProxies", "[2001:db8::7]", ("2001:db8::7/128",)),
    ("trustedProxies", "::ffff:10.0.0.5,::ffff:10.1.0.0/112", ("10.0.0.5/32", "10.1.0.0/16")),
    ("trustedProxies", "host", ("host",)),
    ("apps", APP, (APP,)),
    (
        "apps",
        f" {APP}@1.2.3-beta.1 , https://me:word@example.org/x.zip?a=b ",
        (f"{APP}@1.2.3-beta.1", "https://me:word@example.org/x.zip?a=b"),
    ),
    ("apps", [APP.upper()], (APP.upper(),)),
    ("apps", f'["{APP}"]', (APP,)),
    ("apps", " ", ()),
    ("apps", [], ()),
    ("tls", False, Tls.OFF),
    ("tls", " selfSigned ", Tls.SELF_SIGNED),
    ("hostname", "DHIS2.Example.ORG", "dhis2.example.org"),
    ("hostname", "localhost", "localhost"),
    ("acmeDnsProvider", "Cloudflare", "cloudflare"),
    ("coreMemory", "512", 512),
    ("coreMemory", "512m", 512),
    ("coreMemory", " 3g ", 3072),
    ("coreMemory", "3G", 3072),
    ("coreMemory", "3GB", 3072),
    ("coreMemory", "3GiB", 3072),
    ("coreMemory", "3 g", 3072),
    ("coreMemory", "1024g", 1048576),
    ("databaseMemory", "524288k", 512),
    ("databaseMemory", "524288KB", 512),
    ("cacheMemory", "67108864b", 64),
    ("cacheMemory", "67108864B", 64),
    ("dumpCacheSize", "20g", 20480),
    ("dumpCacheSize", "0", 0),
    ("javaOptions", "@/srv/options", "@/srv/options"),
    ("javaOptions", "--add-opens java.base/java.lang=ALL-UNNAMED", "--add-opens java.base/java.lang=ALL-UNNAMED"),
    ("javaOptions", "'-Da=b c'", "'-Da=b c'"),
    ("dhisConf", {"a": False, "b": 1.5}, {"a": "off", "b": "1.5"}),
    ("dhisConf", " ", {}),
    ("keepData", " true ", True),
    ("readyTimeout", 86400, 86400),
    ("readyTimeout", "900", 900),
    ("readyTimeout", "900s", 900),
    ("readyTimeout", " 15m ", 900),
    ("readyTimeout", "1h30m", 5400),
    ("readyTimeout", "1h0m5s", 3605),
    ("readyTimeout", "24h", 86400),
    ("dockerHost", "npipe:////./pipe/docker_engine", "npipe:////./pipe/docker_engine"),
    ("dockerHost", "tcp://[::1]:2375", "tcp://[::1]:2375"),
]


@pytest.mark.parametrize(("key", "value", "expected"), VALID)
def test_a_valid_value_becomes_its_typed_one(key: str, value: object, expected: object) -> None:
    settings = parse_settings({key: value}).model_dump(by_alias=True)
    assert settings[key] == expected and type(settings[key]) is type(expected)


@pytest.mark.parametrize("value", [PASSWORD, "Aa1!xxxx", "Aa1!" * 18, "Aa1!ä" * 12, " Aa1 xxx "])
def test_a_password_dhis2_accepts_is_not_changed(value: str) -> None:
    password = parse_settings({"adminPassword": value}).admin_password
    assert password and password.get_secret_value() == value, "users type all of it"


# A setting, an invalid value, and the sentence about it
SENTENCES: list[tuple[str, object, str]] = [
    ("cores", "two", '"two" is not an integer from 1 to 16;'),
    ("cores", 0, "0 is not an integer from 1 to 16 (one has to serve; to remove the stack: pulumi destroy);"),
    ("cores", 17, "17 is not an integer from 1 to 16;"),
    ("replicas", "6", '"6" is not an integer from 0 to 5 (DHIS2 reads from at most 5);'),
    ("coreMemory", "1.5g", '"1.5g" is not a memory size from 512 to 1048576 MB, such as 3072, 3072m or 3g;'),
    ("coreMemory", "511m", "MB, such as 3072, 3072m or 3g (Tomcat and DHIS2 do not start with less);"),
    ("databaseMemory", 2147483648, "2147483648 is not a memory size from 256 to 1048576 MB"),
    ("cacheMemory", "65537k", '"65537k" is not a memory size from 64 to 1048576 MB, such as 3072, 3072m or 3g;'),
    ("dumpCacheSize", "lots", '"lots" is not a size from 0 to 1048576 MB, such as 20480, 20480m or 20g;'),
    ("readyTimeout", "15 min", '"15 min" is not a duration from 30 to 86400 seconds, such as 900, 900s or 15m;'),
    ("readyTimeout", "29s", "such as 900, 900s or 15m (no DHIS2 starts in less);"),
    ("keepData", "yes", '"yes" is not a boolean: true or false;'),
    ("version", True, "true is not text;"),
    ("version", "2.37", '"2.37" is older than 2.38.2, the first release whose image runs without root'),
    ("image", "dhis2/core", '"dhis2/core" has no tag, and Docker would pull whatever is latest;'),
    ("image", "dhis2/core:2.36.1", '"dhis2/core:2.36.1" is older than 2.38.2, the first release'),
    (
        "dumpUrl",
        "no-such-file.gz",
        "cannot be read: file not found (a relative path starts at the project's directory)",
    ),
    ("dumpUrl", "example.org/x.gz", "cannot be read: file not found; an http(s) address begins with https://"),
    ("baseUrl", "https://x/", "ends with a slash"),
    ("baseUrl", "https://x/dhis", "DHIS2 is served at the root of its host"),
    (
        "encryptionPassword",
        "x" * 23,
        "its value is not an encryption password: DHIS2 encrypts only with 24 characters or more, and they must be printable",
    ),
    ("trustedProxies", "proxy", '"proxy" has "proxy", which is no IP address, network or the word host;'),
    (
        "trustedProxies",
        "10.0.0.0/8,0.0.0.0/0",
        "has 0.0.0.0/0, which is every address: anyone could choose the address",
    ),
    ("trustedProxies", "127.0.0.1", "within its container that is the load balancer itself"),
    ("apps", [APP, "x.zip"], '"x.zip" is neither an App Hub id nor a file that exists (a relative path starts at'),
    ("apps", ["x.zip", "tests", APP], '"x.zip" is neither an App Hub id nor a file'),
    ("apps", ["x.zip", "tests", APP], "; entry 2 is a directory, not a zip file"),
    ("apps", f"{APP}@", "has no version of an app behind its @, such as @1.2.3"),
    ("apps", __file__, "is not a zip file that can be read"),
    ("adminPassword", "weak", "its value is not a password DHIS2 accepts: 8 to 72 characters on one line, with"),
]


@pytest.mark.parametrize(("key", "value", "sentence"), SENTENCES)
def test_an_error_says_what_is_wrong(key: str, value: object, sentence: str) -> None:
    (line,) = error_lines({key: value})
    assert sentence in line


# A setting, an invalid value, and the value to set
FIXES: list[tuple[str, object, str]] = [
    ("version", 2.4, "2.40"),
    ("version", "2.37", "2.38.5"),
    ("coreMemory", "big", "3072"),
    ("bind", "localhost", "127.0.0.1"),
    ("dumpUrl", "example.org/x.gz", "https://example.org/x.gz"),
    ("baseUrl", "dhis2.example.org/", "https://dhis2.example.org"),
    ("baseUrl", "https://x/", "https://x"),
    ("baseUrl", "https://x:8443/dhis/", "https://x:8443"),
    ("baseUrl", "ftp://x", "https://dhis2.example.org"),
    ("baseUrl", "example.org/a&b", "'https://example.org/a&b'"),  # or a shell would start two commands
    ("trustedProxies", "192.168.1.5/24", "192.168.1.0/24"),
    ("trustedProxies", "127.0.0.1", "host"),
    ("trustedProxies", "localhost", "host"),
    ("trustedProxies", "proxy.example.org", "10.0.0.5,192.168.1.0/24"),
    ("apps", [APP, "x.zip", "tests"], f"'[\"{APP}\"]'"),
    ("apps", ["x.zip", f"https://apphub.dhis2.org/app/{APP}?x=y"], f"'[\"{APP}\"]'"),
    ("javaOptions", "Xmx1g", "-- -XX:MaxRAMPercentage=75"),  # or pulumi would take it for an option of its own
    ("orchestrator", "Swarm", "swarm"),
    ("orchestrator", "kubernetes", "docker"),  # which needs no other settings
    ("primaryNode", "db 1", "db-1"),
    ("dockerHost", "unix://", "unix:///var/run/docker.sock"),
    ("dockerHost", "ssh://me:word@there", "ssh://me@there"),
]


@pytest.mark.parametrize(("key", "value", "instead"), FIXES)
def test_the_command_of_an_error_sets_the_value_that_was_probably_intended(
    key: str, value: object, instead: str
) -> None:
    (line,) = error_lines({key: value})
    assert line.endswith(f"; fix: pulumi config set {key} {instead}")


def test_braces_in_a_value_are_shown_as_they_are() -> None:
    (line,) = error_lines({"dhisConf": {"{why} {instead}": "x"}})
    assert '"{why} {instead}" is not a dhis.conf key' in line, "messages are templates, values are not"


def test_a_key_with_quotes_or_line_breaks_is_one_line_and_safe_for_a_shell() -> None:
    (line,) = error_lines({"dhisConf": {"a": {"it's\n": "x"}}})
    assert line.startswith('  dhisConf: "a.it\'s\\n" is not a dhis.conf key')
    assert shlex.split(line.partition("; fix: ")[2]) == [
        *("pulumi", "config", "rm", "--path"),
        'dhisConf["a"]["it\'s\\n"]',
    ]


def test_the_length_of_a_shown_value_is_bounded() -> None:
    (line,) = error_lines({"image": "x" * 5000})
    assert len(line) < 300 and "…" in line, "a page of it hides the other errors"


def test_every_example_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_project_with_files(tmp_path, monkeypatch)
    for key, field in setting_fields().items():
        for example in field.examples or ():
            assert key == "dumpUrl" or error_lines({key: example}) == [], "the commands of errors set it"
