"""Settings: which values are valid, which are not, and the errors with the commands that fix them."""

import json
import re
from collections.abc import Collection
from pathlib import Path

import pulumi
import pytest
from pydantic import ValidationError

from components.deployment import load_settings
from components.settings.model import Settings, setting_fields
from components.settings.parsing import SettingsError, parse_settings
from tests.support.ssh_keys import ssh_key

PASSWORD = "Correct-Horse-7"  # noqa: S105 - a test's own
WEAK = "hunter2hunter2"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


def error_lines(raw: dict[str, object], **options: object) -> list[str]:
    """Return the lines below the first of the error; none where the settings are valid."""
    try:
        parse_settings(raw, **options)  # type: ignore[arg-type]
    except SettingsError as error:
        first, *lines = str(error).split("\n")
        assert first.split(" ", 1)[0] == str(len(lines)), "the first line counts the errors"
        return lines
    return []


def test_a_stack_without_settings_is_the_latest_development_version_with_one_core_and_one_replica() -> None:
    settings = parse_settings({})
    assert (settings.version, settings.cores, settings.replicas) == ("dev", 1, 1)
    assert not any((settings.image, settings.dump_url, settings.admin_password, settings.docker_host))
    assert settings.public_url == "http://127.0.0.1:8080", "not published beyond the machine by default"
    assert not settings.keep_data


def test_values_may_be_typed_or_text() -> None:
    keys = {"a.b": True, "c": 5, "d": False}
    typed = parse_settings({"cores": 2, "keepData": True, "dhisConf": keys, "version": 42})
    text = parse_settings({"cores": "2", "keepData": "true", "dhisConf": json.dumps(keys), "version": "42"})
    assert typed == text, "a stack file's number and what `pulumi config set` stores are the same"
    assert typed.dhis_conf == {"a.b": "on", "c": "5", "d": "off"}, "DHIS2 has on and off"


def test_empty_text_unsets_an_optional_setting() -> None:
    optional: dict[str, object] = dict.fromkeys(
        ("image", "dumpUrl", "baseUrl", "javaOptions", "adminPassword", "dockerHost", "dhisConf", "trustedProxies"), ""
    )
    optional |= dict.fromkeys(("databaseImage", "cacheImage", "loadBalancerImage"), "")
    assert parse_settings(optional) == parse_settings({}), "Pulumi.yaml has no other way to leave a default out"
    assert error_lines({"cores": ""}), "a setting that is not optional has no empty value"


def test_keys_may_have_the_projects_namespace_and_other_namespaces_are_ignored() -> None:
    raw: dict[str, object] = {"dhis2-cluster:cores": "3", "docker:host": "x", "pulumi:tags": {}, "aws:region": "y"}
    assert parse_settings(raw).cores == 3, "a stack file has the namespace on every key"
    assert "dhis2-cluster" in error_lines({"dhis2cluster:cores": "3"})[0], "a mistyped namespace would have no effect"


APP = "92b75fd0-34cc-451c-942f-3dd0f283bcbd"

INVALID: dict[str, list[object]] = {
    "version": ["", "2", "2.4", 2.4, "43-", True, [1], "2.37", "2.42\n2.43"],
    "image": ["dhis2/core", "Dhis2/core:1", "a b:1", 7, "dhis2/core:2.36.1", "x:y:z"],
    "dumpUrl": [
        "no-such-file.sql.gz",
        "file:/no/such/file",
        "tests",
        "ftp://example.org/x",
        "https://",
        "https:///x",
        "https://example.org:99999/x",
        "http://[x/y",
        "databases.dhis2.org/sierra-leone/dev/dhis2-db-sierra-leone.sql.gz",
        "https://example.org/a b",
        True,
    ],
    "cores": ["two", "0", "17", "-1", "1.5", 1.5, True, "2 cores", "1_0", "٢", "9" * 30, None, [], {}, "0x2"],
    "replicas": ["-1", "6", "one", False],
    "port": ["0", "65536", "http", "8080/tcp"],
    "bind": ["localhost", "256.0.0.1", "127.0.0.1:80", "", "::g"],
    "baseUrl": ["dhis2.example.org", "https://x/", "ftp://x", "http://", "https://u@x", "https://x?y=1", "https://x#y"],
    "trustedProxies": [
        "proxy.example.org",
        "10.0.0.5:8080",
        "10.0.0.5;10.0.0.6",
        "10.0.0.5 10.0.0.6",
        "10.0.0.5/33",
        "10.0.0.5/24",
        "10.0.0.5,0.0.0.0/0",
        "::/0",
        "127.0.0.1",
        "::1",
        "fe80::1%eth0",
        "HOST",
        ["10.0.0.5", "x"],
        [["10.0.0.5"]],
        {"a": "10.0.0.5"},
        True,
        None,
    ],
    "tls": ["on", "SELFSIGNED", "", True, "acme selfSigned", None],
    "hostname": [
        "https://dhis2.example.org",
        "dhis2_1.example.org",
        "-dhis2.example.org",
        "dhis2..example.org",
        "*.example.org",
        "10.0.0.5",
        "dhis2.example.org:8443",
        f"{'x' * 60}.example.org",
        "a b",
        True,
    ],
    "httpsPort": ["0", "65536", "https"],
    "tlsCertificate": ["no-such-file.crt", "tests", __file__, True],
    "tlsKey": ["no-such-file.key", "tests", __file__],
    "acmeEmail": ["me", "me@", "@example.org", "a b@example.org", "a@b,c@d", True],
    "acmeServer": ["http://ca.example.org/dir", "ca.example.org/dir", "https://", "", "https://a b"],
    "acmeServerCertificate": ["no-such-file.crt", True],
    "acmeDnsProvider": ["cloud flare", "https://x", True],
    "acmeDnsCredentials": ["x", [1], {"a_token": "x"}, {"A-TOKEN": "x"}, {"TOKEN": [1]}, {"TOKEN": ""}],
    "acmeImage": ["goacme/lego"],
    "databaseImage": ["postgres", "postgres:", 17, f"postgres:17@sha256:{'0' * 63}"],
    "backupImage": ["restic", "restic:", 18],
    "backupSchedule": [
        "daily",
        "0 2 * *",
        "60 2 * * *",
        "0 2 30 2 *",
        "0 0 2 * * *",
        "0 2 * * *\nrm",
        "a b c d e",
        True,
    ],
    "backupKeep": ["7", "daily", "daily=x", "yearly=1", "daily=0", "daily=1001", "", {"daily": "-1"}, True],
    "backupRepository": [
        "bucket",
        "s3:bucket",
        "/backups",
        "rest:host/x",
        "s3:https://host",
        "sftp:host:/x",
        "sftp:user@host",
        "sftp:user@host:2222/x",
        "sftp:user@host:~/x",
        "sftp:user@-oProxyCommand=x:/x",
        "sftp:user@host:/a b",
        "sftp://host/x",
        "sftp://user@host",
        "sftp://user@host:22",
        "sftp://user@host/~/x",
        "sftp://user@-host/x",
        "sftp://user:password@host/x",
        "sftp://user@host:ssh/x",
    ],
    "backupSshKey": ["no-such-file", "tests", __file__, "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", True],
    "backupKnownHosts": ["no-such-file", "tests", __file__, "host", True],
    "backupAccessKey": ["a\nb", "a b", True],
    "backupSecretKey": ["a\nb", " a", True],
    "backupPassword": ["a\nb", " a", "a ", True],
    "backupEncryptionPassword": ["yes", 1],
    "cacheImage": ["valkey"],
    "loadBalancerImage": ["nginx"],
    "coreMemory": ["511", "511m", "1025g", "big", "2147483648", 1.5, True, "3 gigabytes", "3t", "-3g", "1048577k"],
    "databaseMemory": ["255", "1.5g", "268435457b", "512i", "m", ""],
    "cacheMemory": ["63", "1g1m", "64  m"],
    "dumpCacheSize": ["-1", "1.5g", "2t", 2**21],
    "javaOptions": [
        "Xmx1g",
        "-Ddhis2.home=/x",
        "-Xmx3072m",
        "-Xmx4g",
        "-Da\n-Db",
        "-Da\x7fb",
        "-Da\x85b",
        "-Da\u2028b",
        True,
    ],
    "dhisConf": [
        "on",
        "{",
        [1],
        {"a b": 1},
        {"ok": [1]},
        {"ok": None},
        {"ok": "a\nredis.enabled = off"},
        {"": "x"},
        {"ok": {}},
    ],
    "keepData": ["yes", "1", 1, "True", ""],
    "analytics": ["yes", "0", 0, "False", ""],
    "apps": [
        "no-such-file.zip",
        "file:no-such-file.zip",
        "tests",
        __file__,
        "ftp://example.org/x.zip",
        "https://",
        "https://example.org:99999/x.zip",
        "http://[x/y",
        f"{APP}@",
        f"{APP}@1 2",
        f"{APP}-1",
        [APP, APP],
        [APP, f"{APP.upper()}@1.0.0"],
        [APP, "no-such-file.zip"],
        f"https://apphub.dhis2.org/app/{APP}",
        [[APP]],
        {"a": APP},
        True,
        None,
    ],
    "adminPassword": [
        WEAK,
        "Aa1!",
        "Aa1!" * 18 + "x",
        "Aa1!ä" * 13,  # 65 characters, 78 bytes
        "Correct-Horse\n7",
        "NoDigits!!",
        "nocapital1!",
        "NOSMALL1!",
        "NoSpecial11",
        5,
    ],
    "encryptionPassword": [
        "x" * 23,
        " " + "x" * 24,
        "x" * 24 + " ",
        "x" * 24 + "\n",
        "ä" * 24,
        "x" * 12 + "\t" + "x" * 12,
        123456789012345678901234,
    ],
    "fileStore": [
        *(
            "",
            "Volume",
            "files",
            "/srv/files",
            7,
            True,
            "nfs:/srv/files",
            "nfs://server",
            "nfs://server/",
            "nfs://a b/c",
        ),
        *(
            "nfs://server/a,b",
            "nfs://[1:2]/files",
            "nfs://user@server/files",
            "s3:bucket",
            "s3://",
            "s3://UPPER",
            "s3://a",
        ),
        *(
            "s3://a..b",
            "s3://-abc",
            "s3://key:secret@bucket",
            "s3://bucket/folder",
            "s3://bucket?endpoint",
            "s3://bucket?a=b",
        ),
        *("s3://bucket?endpoint=ftp://x", "s3://bucket?endpoint=https://x/path", "s3://bucket?endpoint=https://u@x"),
        *("s3://bucket?endpoint=https://x:y", "s3://bucket?region=a%20b", "s3://bucket?region=a&region=b", "s3://[x"),
    ],
    "fileStoreAccessKey": ["two words", "a\nb", True],
    "fileStoreSecretKey": ["a\nb", " a", True],
    "copyImage": ["rclone", 7],
    "readyTimeout": ["29", "86401", "25h", "1m30", "30m1h", "15M", "1.5h", "1d", "500ms", "h", "", True],
    "orchestrator": ["kubernetes", "", True, None, ["swarm"]],
    "primaryNode": ["db 1", "node.role==manager", "-db", "x" * 254, True, ["db-1"]],
    "replicaNodes": ["db 1", "db-1;db-2", ["db-1", "-"], [["db-1"]], {"a": "db-1"}, True, None],
    "cacheNode": ["db 1", "db-1,db-2", "db-", False],
    "lbNodes": ["db 1", "db-1 db-2", '["db-1"', [{}], True, None],
    "encryptedNetworks": ["", "yes", 1],
    "dockerHost": ["docker.example.org", "http://x", "ssh://", "unix://", "ssh://a:b@c", "tcp://x:y", "tcp://[x", "x"],
}
ONE_INVALID = [(key, value) for key, values in INVALID.items() for value in values]
NAMES = [f"{key}={value!r:.30}" for key, value in ONE_INVALID]


def test_every_setting_is_tested_with_invalid_values() -> None:
    assert INVALID.keys() == setting_fields().keys(), "an untested setting may accept them"


@pytest.mark.parametrize(("key", "value"), ONE_INVALID, ids=NAMES)
def test_an_invalid_value_is_one_error_with_the_command_that_fixes_it(key: str, value: object) -> None:
    lines = error_lines({key: value})
    assert len(lines) == 1, f"one invalid setting, one line: {lines}"
    assert lines[0].startswith(f"  {key}: "), "the line begins with the setting as in the stack file"
    assert re.search(r"; fix: pulumi config (set|rm) \S", lines[0]), "and ends with a command"


@pytest.mark.parametrize(("key", "value"), ONE_INVALID, ids=NAMES)
def test_the_command_of_an_error_fixes_it(
    key: str, value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in error_lines({key: value}):
        command = line.rpartition("; fix: ")[2]
        match = re.fullmatch(r"pulumi config (?:set|rm) ([A-Za-z]+)(?: '?(.*?)'?)?", command)
        if match and " set " in command:
            in_project_with_files(tmp_path, monkeypatch)
            assert error_lines({key: value, match[1]: match[2]}) == [], f"{command} must lead to valid settings"
        else:
            assert f"--secret {key}" in command or " rm " in command or "--path" in command


def in_project_with_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to a project's folder beside which the files of the examples are."""
    for name in ("dhis2.example.org.crt", "dhis2.example.org.key", "ca.crt"):
        (folder / name).write_text("-----BEGIN CERTIFICATE-----\n")
    (folder / "backup-key").write_text(ssh_key())
    (folder / "known_hosts").write_text(f"host {PUBLIC_KEY}\n")
    (folder / "project").mkdir(exist_ok=True)
    monkeypatch.chdir(folder / "project")


def test_all_errors_are_reported_at_once() -> None:
    raw: dict[str, object] = {key: values[0] for key, values in INVALID.items()}
    raw |= {"core": 2, "Keep_Data": "true"}
    lines = error_lines(raw, stack="dev")
    assert {line.split(":")[0].strip() for line in lines} == raw.keys(), "one at a time would take as many updates"


def test_the_first_line_counts_and_names_the_stack() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({"cores": "two", "port": "x"}, stack="test")
    assert str(caught.value).splitlines()[0] == '2 settings are invalid in stack "test":'
    with pytest.raises(SettingsError, match=r'^1 setting is invalid in stack "dev":\n'):
        parse_settings({"cores": "two"})


@pytest.mark.parametrize(
    ("key", "near"), [("core", "cores"), ("Cores", "cores"), ("dump_url", "dumpUrl"), ("keepdata", "keepData")]
)
def test_the_error_of_an_unknown_setting_names_a_similar_one(key: str, near: str) -> None:
    (line,) = error_lines({key: "1"})
    assert f"did you mean {near}?" in line and line.endswith(f"pulumi config rm {key}")
    (line,) = error_lines({"zzz": "1"})
    assert "did you mean" not in line, "a wild guess does not help"


@pytest.mark.parametrize(
    "key",
    [
        *("connection.url", "connection.password", "read1.connection.url", "read12.connection.password"),
        *("redis.host", "redis.cache.invalidation.enabled", "encryption.password", "analytics.table.unlogged"),
        *("server.base.url", "node.id", "node.primary_leader", "cluster.members", "filestore.provider"),
        *("flyway.skip_migration", "system.read_only_mode", "Redis.Enabled", "active.read.replicas"),
    ],
)
def test_a_dhis_conf_key_of_the_program_is_an_error_with_the_reason(key: str) -> None:
    (line,) = error_lines({"dhisConf": {key: "some-value"}})
    assert f"{key} is set by this program: " in line and line.endswith(
        f"""pulumi config rm --path 'dhisConf["{key}"]'"""
    )
    assert "some-value" not in line, "values of dhis.conf may be secrets"
    (nested,) = error_lines({"dhisConf": {"redis": {"host": "x"}}})
    assert nested.endswith("""--path 'dhisConf["redis"]["host"]'"""), "the path is the one of the stack file"


@pytest.mark.parametrize("key", ["connection.pool_size", "xredis.host", "redis", "node.ids", "connection-url"])
def test_a_dhis_conf_key_that_only_resembles_one_of_the_program_is_valid(key: str) -> None:
    assert parse_settings({"dhisConf": {key: "1"}}).dhis_conf == {key: "1"}


def test_all_errors_of_dhis_conf_are_reported_at_once() -> None:
    lines = error_lines({"dhisConf": {"redis.host": "x", "a b": 1, "ok": [1], "fine": 1}})
    assert [line.split(" ")[3] for line in lines] == ["redis.host", '"a', "ok"]


def test_other_dhis_conf_keys_are_passed_on_nested_or_not() -> None:
    raw = {"max": {"sessions": {"per_user": 5}}, "monitoring.api.enabled": "on", "oidc.x": " y "}
    expected = {"max.sessions.per_user": "5", "monitoring.api.enabled": "on", "oidc.x": "y"}
    assert parse_settings({"dhisConf": raw}).dhis_conf == expected, "`--path dhisConf.max.sessions.per_user` nests"


def test_a_local_dump_must_be_a_file_that_is_not_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.sql.gz").write_bytes(b"x")
    (tmp_path / "empty.sql.gz").touch()
    for path in ("a.sql.gz", "./a.sql.gz", "file:a.sql.gz", f"file://{tmp_path}/a.sql.gz", str(tmp_path / "a.sql.gz")):
        assert parse_settings({"dumpUrl": path}).dump_url == path
    assert "is an empty file" in error_lines({"dumpUrl": "empty.sql.gz"})[0]
    assert "is a directory" in error_lines({"dumpUrl": str(tmp_path)})[0]
    assert parse_settings({"dumpUrl": "None"}).dump_url == "none"


@pytest.mark.parametrize(
    ("raw", "url"),
    [
        ({"bind": "0.0.0.0", "port": 9090}, "http://127.0.0.1:9090"),  # noqa: S104
        ({"bind": "::", "port": 9090}, "http://[::1]:9090"),
        ({"bind": "192.0.2.7", "port": 80}, "http://192.0.2.7"),
        ({"baseUrl": "https://dhis2.example.org", "bind": "192.0.2.7"}, "https://dhis2.example.org"),
    ],
)
def test_the_public_address_follows_bind_and_port_unless_set(raw: dict[str, object], url: str) -> None:
    assert parse_settings(raw).public_url == url


def test_settings_cannot_be_changed_or_extended() -> None:
    settings = parse_settings({})
    with pytest.raises(ValidationError):
        settings.cores = 2  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Settings.model_validate({"unknown": 1})


@pytest.fixture
def stack_config(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give the program its configuration as the language host does."""
    monkeypatch.setattr(pulumi, "get_project", lambda: "dhis2-cluster")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    monkeypatch.setattr("pulumi.runtime.config.CONFIG", _Holder({}))
    monkeypatch.setattr("pulumi.runtime.config._SECRET_KEYS", _Holder(set()))  # of programs that were run before
    return monkeypatch


class _Holder:
    def __init__(self, value: Collection[str]) -> None:
        self.value = value

    def get(self) -> Collection[str]:
        return self.value


def test_the_stack_config_is_read_with_its_unknown_keys(stack_config: pytest.MonkeyPatch) -> None:
    config = {"dhis2-cluster:cores": "2", "dhis2-cluster:dhisConf": '{"a.b":"c"}', "docker:host": "x"}
    stack_config.setenv("PULUMI_CONFIG", json.dumps(config))
    settings = load_settings()
    assert (settings.cores, settings.dhis_conf) == (2, {"a.b": "c"})
    stack_config.setenv("PULUMI_CONFIG", json.dumps(config | {"dhis2-cluster:core": "2"}))
    with pytest.raises(pulumi.RunError) as caught:
        load_settings()
    assert 'stack "dev"' in str(caught.value) and "did you mean cores?" in str(caught.value)
    assert caught.value.__suppress_context__, "a RunError is shown without a traceback"


def test_an_encrypted_password_is_valid_and_one_in_plaintext_is_not(stack_config: pytest.MonkeyPatch) -> None:
    stack_config.setenv("PULUMI_CONFIG", json.dumps({"dhis2-cluster:adminPassword": PASSWORD}))
    with pytest.raises(pulumi.RunError, match="its value is stored as plaintext"):
        load_settings()
    stack_config.setenv("PULUMI_CONFIG_SECRET_KEYS", json.dumps(["dhis2-cluster:adminPassword"]))
    assert load_settings().admin_password is not None


@pytest.mark.parametrize(
    ("raw", "is_open"),
    [
        ({}, False),
        ({"bind": "::1"}, False),
        ({"bind": "127.1.2.3"}, False),
        ({"bind": "0.0.0.0"}, True),  # noqa: S104
        ({"bind": "::"}, True),
        ({"bind": "192.168.1.5"}, True),
        ({"bind": "192.168.1.5", "baseUrl": "http://localhost:8080"}, True),
        ({"baseUrl": "http://localhost:9000"}, False),
        ({"baseUrl": "http://dhis2.LOCALHOST"}, False),
        ({"baseUrl": "http://[::1]:9000"}, False),
        ({"baseUrl": "https://dhis2.example.org"}, True),
        ({"baseUrl": "https://localhost.example.org"}, True),
        ({"baseUrl": "http://192.168.1.5:8080"}, True),
        ({"hostname": "dhis2.example.org"}, True),
        ({"hostname": "dhis2.example.org", "baseUrl": "http://localhost:8080"}, True),
        ({"hostname": "dhis2.localhost"}, False),
        ({"tls": "selfSigned"}, False),
    ],
)
def test_a_stack_is_open_to_others_by_its_port_or_by_a_proxy(raw: dict[str, str], is_open: bool) -> None:
    assert parse_settings(raw).is_open_to_others is is_open
