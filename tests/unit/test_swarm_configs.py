"""Files of services as configs and secrets of a swarm: what is a secret, who reads it, and how they are named."""

import base64
import json
import re

import pytest

from components.orchestrator.swarm.files import object_name
from tests.support.program import GENERATED, RANDOM_ID, SECRET_MARK, Recorded, Registered, Run, plain
from tests.support.ssh_keys import ssh_key
from tests.support.swarm import CONFIG, ON_SWARM, SECRET, SERVICE, Json, container_of, files_of, parts_of
from tests.unit.test_container_specs import UPLOADS
from tests.unit.test_settings import PUBLIC_KEY

OURS = "/opt/dhis2-cluster"
SFTP: Json = {
    "backupSchedule": "manual",
    "backupRepository": "sftp:keeper@backup.example.org:/dhis2",
    "backupSshKey": ssh_key(),
    "backupKnownHosts": f"backup.example.org {PUBLIC_KEY}",
}
# part -> the files that only its user can read
SECRET_FILES = {
    "backup": {
        f"{OURS}/secrets/{name}"
        for name in ("backup-repository", "backup-password", "backup-role-password", "encryption-password", "ssh-key")
    },
    "core-1": {"/opt/dhis2/dhis.conf"},
    "core": {"/opt/dhis2/dhis.conf"},
    "cache": {f"{OURS}/valkey.conf", f"{OURS}/secrets/cache-password"},
    "primary": {
        f"{OURS}/secrets/{name}-password" for name in ("app", "replication", "encryption", "admin", "backup-role")
    },
    "replica-1": {f"{OURS}/secrets/replication-password"},
    "dump": {f"{OURS}/secrets/dump-url"},
}
KEY, OTHER_KEY = "of-this-stack", "of-another"


@pytest.fixture
def stack(built: Run) -> Recorded:
    return built(**ON_SWARM, cores=2, **SFTP)


def text_of(item: Registered) -> str:
    return base64.b64decode(plain(item.raw["data"])).decode()


def named(recorded: Recorded) -> dict[tuple[str, str], str]:
    """Return the names of configs and secrets by part and path."""
    return {
        (part, path): str(item.inputs["name"])
        for part in parts_of(recorded)
        for path, item in files_of(recorded, part).items()
    }


@pytest.mark.parametrize("part", SECRET_FILES)
def test_only_the_user_of_a_part_reads_its_secrets(stack: Recorded, part: str) -> None:
    container = container_of(stack, part)
    assert {entry["fileName"] for entry in container["secrets"]} == SECRET_FILES[part]
    for entry in container["secrets"]:
        assert f"{entry['fileUid']}:{entry['fileGid']}" == container["user"]
        assert entry["fileMode"] == 0o400


def test_what_is_a_secret_to_pulumi_is_one_to_docker(stack: Recorded) -> None:
    assert stack.of(CONFIG) and stack.of(SECRET)
    assert all(SECRET_MARK in item.raw["data"] for item in stack.of(SECRET)), "not in clear in the state"
    assert not [item.name for item in stack.of(CONFIG) if SECRET_MARK in str(item.raw)], "all managers show configs"
    assert not [item.name for item in stack.of(CONFIG) if GENERATED in text_of(item)]
    key = SFTP["backupSshKey"].splitlines()[3]
    assert any(key in text_of(item) for item in stack.of(SECRET))


def test_certificates_of_a_load_balancer_are_secrets(built: Run) -> None:
    recorded = built(**ON_SWARM, tls="selfSigned")
    (entry,) = container_of(recorded, "lb")["secrets"]
    assert (entry["fileName"], entry["fileUid"]) == (f"{OURS}/secrets/self-signed.pem", "101")


@pytest.mark.parametrize("part", ["lb", "core-1", "cache", "replica-1", "dump"])
def test_a_service_has_the_files_of_a_container_and_its_environment(stack: Recorded, part: str) -> None:
    read, executable = UPLOADS[part]
    environment = set() if part == "core-1" else {f"{OURS}/environment"}  # an image's own entrypoint reads no file
    executable = executable | ({f"{OURS}/role-change.sh"} if part == "replica-1" else set())
    assert files_of(stack, part).keys() == read | executable | environment
    modes = {entry["fileName"]: entry["fileMode"] for entry in container_of(stack, part)["configs"]}
    expected = {path: 0o555 if path in executable else 0o444 for path in modes}
    assert modes == expected, "they belong to root, and the process does not run as root"


def test_the_files_of_a_stack_on_a_swarm_are_those_of_one_machine(built: Run) -> None:
    one, many = built(replicas=1, cores=2, bind="0.0.0.0"), built(**ON_SWARM, cores=2)  # noqa: S104
    for part, other in (("lb", "lb"), ("cache", "cache"), ("core-1", "core-1"), ("core-2", "core")):
        found = {path: text_of(item) for path, item in files_of(many, other).items()}
        found.pop(f"{OURS}/environment", None)
        assert found == one.container(part).files


def test_an_environment_is_a_file_that_a_shell_reads(built: Run) -> None:
    recorded = built(**ON_SWARM)
    text = text_of(files_of(recorded, "replica-1")[f"{OURS}/environment"])
    assert "export PRIMARY_HOST=postgres-primary\n" in text and "export REPLICA_NAME=replica-1\n" in text
    lines = text.splitlines()[1:]
    assert lines == sorted(lines), "another order is another config"
    assert all(re.fullmatch(r"export [A-Z_0-9]+=.*", line) for line in lines)
    assert files_of(recorded, "lb")[f"{OURS}/environment"], "a config without content is refused"


def test_names_that_a_value_of_the_environment_needs_quotes_for_are_quoted(built: Run) -> None:
    recorded = built(**ON_SWARM, dumpUrl="https://example.org/it's%20a%20dump.sql.gz")
    text = text_of(files_of(recorded, "dump")[f"{OURS}/environment"])
    assert "export DUMP_NAME=" in text and "'\"'\"'" in text


def test_a_name_has_the_hash_of_a_content(built: Run) -> None:
    before, after = named(built(**ON_SWARM)), named(built(**ON_SWARM, dhisConf='{"a.b": "c"}'))
    differ = {key for key in before if before[key] != after[key]}
    assert differ == {("core-1", "/opt/dhis2/dhis.conf")}, "another content is another object"


def test_a_file_is_removed_after_the_service_has_the_other_one(stack: Recorded) -> None:
    for item in (*stack.of(CONFIG), *stack.of(SECRET)):
        request = item.request
        assert request.deleteBeforeReplaceDefined and not request.deleteBeforeReplace, "a swarm refuses it before"


def test_objects_have_names_of_their_own_that_a_swarm_takes(built: Run) -> None:
    for settings in ({}, SFTP, {"tls": "selfSigned", "cores": 3}):
        names = list(named(built(**ON_SWARM, **settings)).values())
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}[A-Za-z0-9]", name) for name in names)


@pytest.mark.parametrize("length", [1, 30, 38, 39, 40, 50, 63, 90])
@pytest.mark.parametrize("path", ["/a/valkey.conf", "/a/create-roles-and-extensions.sql", "/a/ä ö", f"/{'long' * 30}"])
def test_a_name_has_at_most_64_characters(length: int, path: str) -> None:
    name = object_name("p" * length, path, "content", KEY)
    assert len(name) <= 64
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*[A-Za-z0-9]", name), "what a swarm takes"


@pytest.mark.parametrize("prefix", ["dhis2-cluster-dev", "dhis2-cluster-of-a-very-long-name-of-a-stack-of-ours"])
def test_two_parts_two_paths_and_two_contents_have_two_names(prefix: str) -> None:
    name = object_name(f"{prefix}-core", "/a/health.sh", "content", KEY)
    assert name == object_name(f"{prefix}-core", "/a/health.sh", "content", KEY), "or each up would replace it"
    others = {
        "part": object_name(f"{prefix}-core-1", "/a/health.sh", "content", KEY),
        "path": object_name(f"{prefix}-core", "/b/health.sh", "content", KEY),
        "content": object_name(f"{prefix}-core", "/a/health.sh", "other", KEY),
    }
    assert [what for what, other in others.items() if other == name] == []


def test_a_name_does_not_reveal_a_content_without_the_key_of_the_stack(stack: Recorded) -> None:
    guessed = [object_name("x", "/a/password", "Correct-Horse-7", key)[-12:] for key in (KEY, OTHER_KEY, "")]
    assert len(set(guessed)) == 3, "passwords that people choose can be guessed by a hash alone"
    (key,) = [item for item in stack.resources if item.name == "file-names"]
    assert key.kind.endswith("RandomPassword") and key.inputs["length"] >= 32
    path = f"{OURS}/secrets/admin-password"
    name = files_of(stack, "primary")[path].inputs["name"]
    content = text_of(files_of(stack, "primary")[path])
    prefix = stack.one(SERVICE, "primary").inputs["name"]
    assert name == object_name(prefix, path, content, f"{GENERATED}file-nameshex-primary-file-names")


def test_contents_that_are_wanted_again_after_another_one_get_other_names(built: Run) -> None:
    numbers = [
        built(**ON_SWARM, dhisConf=json.dumps({"a": value})).one(RANDOM_ID, "core-1-file-names") for value in "xyx"
    ]
    first, second, again = [number.inputs["keepers"] for number in numbers]
    assert first == again != second, "while nothing changes the names stay"
    assert SECRET_MARK not in str(numbers[0].raw), "a replaced number is seen in a preview"
    recorded = built(**ON_SWARM)
    for part in parts_of(recorded):
        needs = [item.needs for item in files_of(recorded, part).values()]
        assert all(f"{part}-file-names" in needed for needed in needs), "or what a failed up has left has the name"
