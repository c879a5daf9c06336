"""Each secret is rotated with the commands of docs/security.md: all parts work with the new one, the old is refused."""

import json
import re
import subprocess
import sys

import httpx
import pytest

from components.orchestrator.container_paths import SECRETS
from tests.e2e.conftest import MakeStack
from tests.e2e.events import ContainerEvents
from tests.support.commands import execute
from tests.support.project import ROOT
from tests.support.stack import PASSPHRASE, Stack, log_in
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.simulator]

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
CORES = ("core-1", "core-2")
Variables = dict[str, str | None]
REFUSED = "was used with another encryption password"


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    """Deploy two cores and a replica on a database that is kept."""
    stack = make_stack(cores=2, replicas=1, dumpUrl="none", keepData="true")
    stack.up()
    stack.sql("CREATE TABLE e2e_kept (n int)")
    return stack


@pytest.fixture(scope="module")
def session(stack: Stack) -> httpx.Cookies:
    """Return the cookies of a user who has logged in before anything is rotated."""
    return log_in(stack)


def follow(stack: Stack, heading: str, typed: str = "", block: int = 0, changed: Variables | None = None) -> str:
    """Run a block of commands of the page as someone who types `typed` and confirms; `changed` sets variables."""
    text = PAGE.split(f"### {heading}\n", 1)[1].split("\n##", 1)[0]
    commands = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[block]
    return shell(stack, commands.replace("dhis2-cluster-dev", stack.prefix), typed, changed)


def shell(stack: Stack, commands: str, typed: str = "", changed: Variables | None = None) -> str:
    """Return the output of commands that must succeed in the folder of a stack; None unsets a variable."""
    variables = {
        **stack.environment,
        "PULUMI_STACK": stack.name,
        "PULUMI_SKIP_CONFIRMATIONS": "true",
        "PYTHONPATH": str(ROOT),
        **(changed or {}),
    }
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", f'dhis2-cluster() {{ {sys.executable} -m cli "$@"; }}\n{commands}'],
        cwd=stack.folder,
        env={name: value for name, value in variables.items() if value is not None},
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
    return done.stdout


def works(stack: Stack, session: httpx.Cookies) -> None:
    """Assert that DHIS2 answers the user of before, the data is there and replicated, and `up` has nothing to do."""
    with stack.client(cookies=session) as client:
        assert client.get("/api/me").status_code == httpx.codes.OK, "users stay logged in"
    row = stack.sql("INSERT INTO e2e_kept SELECT 1 + count(*) FROM e2e_kept RETURNING n")
    stack.wait_sql("SELECT max(n) FROM e2e_kept", row, "replica-1")
    assert stack.changes() == {}


def connects(stack: Stack, server: str, role: str, password: str, database: str) -> bool:
    """Return whether a role can log in to a server from another container of its network."""
    command = ["psql", "-XAtqw", "-c", "SELECT 1", f"host=postgres-{server} user={role} dbname={database}"]
    client = "replica-1" if server == "primary" else "primary"
    code, output = execute(stack.container(client), "env", f"PGPASSWORD={password}", *command)
    assert code == 0 or "password authentication failed" in output, output
    return code == 0


def test_the_password_of_the_database(stack: Stack, session: httpx.Cookies) -> None:
    before = stack.containers()
    old = stack.inside("primary", "cat", f"{SECRETS}/app-password")
    with ContainerEvents(stack, "core") as cores:
        follow(stack, "Password of the database")
    cores.assert_replaced({before[core] for core in CORES}, 2)
    works(stack, session)
    new = stack.inside("primary", "cat", f"{SECRETS}/app-password")
    for server in ("primary", "replica-1"):
        assert connects(stack, server, "dhis", new, "dhis")
        until(lambda server=server: not connects(stack, server, "dhis", old, "dhis"), "the old one to be refused")  # type: ignore[misc]


def test_the_password_of_replication(stack: Stack, session: httpx.Cookies) -> None:
    before = stack.containers()
    old = stack.inside("primary", "cat", f"{SECRETS}/replication-password")
    follow(stack, "Password of replication")
    works(stack, session)
    new = stack.inside("replica-1", "cat", f"{SECRETS}/replication-password")
    assert connects(stack, "primary", "replicator", new, "postgres")
    assert not connects(stack, "primary", "replicator", old, "postgres")
    assert "cloning" not in stack.log("replica-1")
    assert {core: stack.containers()[core] for core in CORES} == {core: before[core] for core in CORES}


def test_the_password_of_the_cache(stack: Stack, session: httpx.Cookies) -> None:
    def answer(password: str) -> str:
        variables = (f"REDISCLI_AUTH={password}", f"VALKEYCLI_AUTH={password}")  # before Valkey 9, and from it on
        return execute(stack.container("cache"), "env", *variables, "valkey-cli", "PING")[1]

    old = stack.inside("cache", "cat", f"{SECRETS}/cache-password")
    assert "PONG" in answer(old)
    follow(stack, "Password of the cache")
    works(stack, session)
    assert "PONG" in answer(stack.inside("cache", "cat", f"{SECRETS}/cache-password"))
    assert "NOAUTH" in answer(old)


def test_the_password_of_the_role_that_backs_up(stack: Stack, session: httpx.Cookies) -> None:
    before, old = stack.containers(), stack.inside("primary", "cat", f"{SECRETS}/backup-role-password")
    follow(stack, "Passwords of the backups")
    works(stack, session)
    new = stack.inside("backup", "cat", f"{SECRETS}/backup-role-password")
    assert connects(stack, "primary", "backup", new, "dhis") and not connects(stack, "primary", "backup", old, "dhis")
    assert {core: stack.containers()[core] for core in CORES} == {core: before[core] for core in CORES}
    assert stack.command("backup").code == 0


def test_the_password_of_the_repository(stack: Stack, session: httpx.Cookies) -> None:
    made, old = json.loads(stack.command("backup", "--json").stdout)["set"], stack.outputs()["backupPassword"]
    follow(stack, "Passwords of the backups", block=1)
    works(stack, session)
    assert not (stack.folder / ".backup-password.new").exists()
    assert stack.outputs()["backupPassword"] != old
    assert made in [item["set"] for item in json.loads(stack.command("backups", "--json").stdout)]
    assert json.loads(stack.command("status", "--json").stdout)["last_backup"]["set"] == made
    opened, _ = stack.container("backup").exec_run(
        ["/tools/restic", "-r", "/var/tmp/repository", "cat", "config"],  # noqa: S108
        environment={"RESTIC_PASSWORD": old, "RESTIC_CACHE_DIR": "/tmp"},  # noqa: S108
    )
    assert opened == 12, "restic's exit code for a password that opens nothing"


def test_the_sessions(stack: Stack, session: httpx.Cookies) -> None:
    follow(stack, "Sessions")
    with stack.client(cookies=session) as client:
        assert client.get("/api/me").status_code in (httpx.codes.FOUND, httpx.codes.UNAUTHORIZED)
        assert client.get("/api/me", auth=("admin", "district")).status_code == httpx.codes.OK, "DHIS2 works on"


def test_the_password_of_the_user_admin(stack: Stack) -> None:
    def status(password: str) -> int:
        with stack.client(auth=("admin", password)) as client:
            return client.get("/api/me").status_code

    follow(stack, "Password of the user admin", typed="Correct-Horse-7")
    assert (status("Correct-Horse-7"), status("district")) == (200, 401)
    assert stack.changes() == {}


def test_a_replaced_encryption_password_is_refused_and_the_old_one_is_set_again(stack: Stack) -> None:
    before, password = stack.containers(), stack.outputs()["encryptionPassword"]
    done = stack.pulumi("up", "--yes", "--skip-preview", "--replace", "**encryption-password", "--stack", stack.name)
    assert done.code != 0 and REFUSED in done.text
    assert REFUSED in stack.failing_up(), "it stays refused"
    assert stack.containers() == before
    follow(stack, "Encryption password")
    assert stack.outputs()["encryptionPassword"] == password
    assert f"encryption.password = {password}" in stack.inside("core-1", "cat", "/opt/dhis2/dhis.conf")
    assert stack.changes() == {}


def test_an_encryption_password_is_discarded_with_its_fingerprint(stack: Stack) -> None:
    old = stack.outputs()["encryptionPassword"]
    follow(stack, "Encryption password", block=1)
    new = stack.outputs()["encryptionPassword"]
    assert new != old
    assert all(new in stack.inside(core, "cat", "/opt/dhis2/dhis.conf") for core in CORES)
    assert stack.changes() == {}
    stack.set_secret(encryptionPassword=old)
    assert REFUSED in stack.failing_up(), "the new one has a fingerprint now"
    stack.unset("encryptionPassword")


def test_the_passphrase_of_the_state(stack: Stack) -> None:
    file = stack.folder / ".passphrase"
    file.write_text(PASSPHRASE)
    variables: Variables = {"PULUMI_CONFIG_PASSPHRASE": None, "PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}
    follow(stack, "Passphrase of the state", changed=variables)
    assert file.stat().st_mode & 0o77 == 0, "no other user reads it"
    refused = stack.pulumi("preview", "--stack", stack.name)
    assert refused.code != 0 and "incorrect passphrase" in refused.text
    shell(stack, "pulumi preview --expect-no-changes", changed=variables)
    shell(stack, "pulumi stack change-secrets-provider passphrase", typed=PASSPHRASE, changed=variables)
    assert stack.changes() == {}
