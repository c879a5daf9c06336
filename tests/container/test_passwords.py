"""DHIS2's encryption.password, which its database is bound to, and the password of its user admin."""

import gzip
import hashlib
from collections.abc import Callable, Iterator

import bcrypt
import pytest
from docker.models.containers import Container

from components.database.database_pair import DATA
from components.database.passwords import UNVERIFIED, has_fingerprint
from components.orchestrator.container_paths import FILES
from tests.container.databases import ADMIN_PASSWORD, APP_PASSWORD, Databases, until_healthy
from tests.support.archive import packed
from tests.support.commands import execute, logs, shell, shell_output, sql, stdout_of
from tests.support.containers import Containers
from tests.support.project import NGINX
from tests.support.waiting import until_exited

pytestmark = pytest.mark.container

DEFAULT = "district"
OURS, OTHER = "It's a \\long {password} of 2 stacks!" + "x" * 40, "another-encryption-password"
RECORDED = "SELECT string_agg(fingerprint, ' ') FROM dhis2_cluster.encryption_password"
ACCOUNTS = """CREATE TABLE userinfo (username text, password text, passwordlastupdated timestamp, disabled boolean,
    twofactortype text);
INSERT INTO userinfo VALUES ('admin', 'of the dump', '2020-01-01', false, 'NOT_ENABLED'), ('other', 'x', NULL, false, NULL);
"""
RECORD = """CREATE SCHEMA dhis2_cluster;
CREATE TABLE dhis2_cluster.admin_password (hash text NOT NULL, is_generated boolean NOT NULL);
INSERT INTO dhis2_cluster.admin_password VALUES ('{}', true);
"""
SPY = """CREATE TABLE ran (who text);
CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO ran VALUES (session_user); RETURN NEW; END $$;
CREATE TRIGGER spy BEFORE UPDATE ON userinfo FOR EACH ROW EXECUTE FUNCTION spy();
"""
# Commands that write a backup of the database to standard output.
FORMS = {
    "plain": "pg_dump -U postgres dhis",
    "custom": "pg_dump -U postgres -Fc dhis",
    "directory": "pg_dump -U postgres -Fd -f /tmp/directory dhis && tar -C /tmp -cf - directory",
}
WITHOUT_FINGERPRINT = {
    "public only": "pg_dump -U postgres -n public dhis",
    "custom, without it": "pg_dump -U postgres -Fc dhis >/tmp/dump && pg_restore -f - -N dhis2_cluster /tmp/dump",
    "plain, without it": "pg_dump -U postgres dhis | sed '/^pbkdf2-sha256/d'",
}


@pytest.fixture(scope="module")
def source(containers: Containers, databases: Databases) -> Container:
    """A primary whose database has been used with OURS."""
    container = databases.primary(containers.volume("source"), encryption=OURS)
    until_healthy(container, "primary")
    sql(container, "CREATE TABLE mine (id integer)")
    return container


@pytest.fixture(scope="module")
def backups(databases: Databases, source: Container) -> dict[str, str]:
    """The keys of dumps of the source in the dump cache, by their form."""
    keys = {}
    for number, (form, command) in enumerate((FORMS | WITHOUT_FINGERPRINT).items()):
        content = stdout_of(source, "sh", "-c", command)
        keys[form] = f"{number}f" * 32
        databases.add_dump(gzip.compress(content), keys[form])
    return keys


def test_a_database_has_the_fingerprint_of_its_encryption_password_and_never_the_password(source: Container) -> None:
    recorded = sql(source, RECORDED)
    assert has_fingerprint(OURS, recorded), "Python and SQL compute the same"
    assert not has_fingerprint(OTHER, recorded)
    _, dumped = shell(source, "pg_dump -U postgres dhis; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ")
    assert recorded in dumped and OURS[:12] not in dumped + logs(source)
    assert execute(source, "bash", f"{FILES}/passwords.sh", "fingerprint") == (0, recorded)
    owner = "SELECT tableowner FROM pg_tables WHERE schemaname = 'dhis2_cluster'"
    assert sql(source, owner) == "dhis", "a pg_dump by DHIS2's role has it too"


@pytest.mark.parametrize("form", FORMS)
def test_a_backup_is_refused_with_another_encryption_password_and_costs_no_data(
    containers: Containers, databases: Databases, backups: dict[str, str], form: str
) -> None:
    volume = containers.volume(f"other-{form}")
    first = databases.primary(volume, encryption=OTHER, from_setting=False)
    until_healthy(first, "primary")
    sql(first, "CREATE TABLE kept (id integer)")
    containers.remove(first)
    refused = databases.primary(volume, backups[form], encryption=OTHER, from_setting=False)
    last = until_exited(refused).strip().splitlines()[-1]
    assert last.startswith("fatal: the dump "), last
    assert "was used with another encryption.password (fingerprint " in last
    assert "pulumi config set --secret encryptionPassword" in last
    containers.remove(refused)
    back = databases.primary(volume, encryption=OTHER, from_setting=False)
    until_healthy(back, "primary")
    assert sql(back, "SELECT to_regclass('kept') IS NOT NULL") == "t"


def test_a_backup_is_restored_with_its_encryption_password_and_can_be_backed_up_again(
    containers: Containers, databases: Databases, source: Container, backups: dict[str, str]
) -> None:
    restored = databases.primary(containers.volume("same"), backups["custom"], encryption=OURS)
    until_healthy(restored, "primary")
    assert sql(restored, "SELECT to_regclass('mine') IS NOT NULL") == "t"
    assert sql(restored, RECORDED) == sql(source, RECORDED), "the next backup needs the same password"


@pytest.mark.parametrize("form", WITHOUT_FINGERPRINT)
def test_a_dump_without_a_fingerprint_is_restored_with_any_encryption_password(
    containers: Containers, databases: Databases, backups: dict[str, str], form: str
) -> None:
    restored = databases.primary(containers.volume("elsewhere"), backups[form], encryption=OTHER)
    until_healthy(restored, "primary")
    assert sql(restored, "SELECT to_regclass('mine') IS NOT NULL") == "t"
    assert has_fingerprint(OTHER, sql(restored, RECORDED)), "from now on it is this one"


def test_a_start_with_another_encryption_password_of_the_setting_is_refused(
    containers: Containers, databases: Databases
) -> None:
    volume = containers.volume("changed")
    first = databases.primary(volume, encryption=OURS)
    until_healthy(first, "primary")
    recorded = sql(first, RECORDED)
    containers.remove(first)
    second = databases.primary(volume, encryption=OTHER)
    last = until_exited(second).strip().splitlines()[-1]
    assert last.startswith("fatal: the database was used with another encryption.password (fingerprint "), last
    assert recorded.rpartition("$")[2] in last and "pulumi config set --secret encryptionPassword" in last
    containers.remove(second)
    back = databases.primary(volume, encryption=OURS)
    until_healthy(back, "primary")
    assert sql(back, RECORDED) == recorded


def test_another_generated_encryption_password_starts_and_is_marked_until_it_is_accepted(
    containers: Containers, databases: Databases
) -> None:
    volume = containers.volume("regenerated")
    first = databases.primary(volume, encryption=OURS, from_setting=False)
    until_healthy(first, "primary")
    containers.remove(first)
    second = databases.primary(volume, encryption=OTHER, from_setting=False)
    until_healthy(second, "primary")
    assert "encryption_password=other" in shell_output(second, f"cat {DATA}/restored")
    assert has_fingerprint(OURS, sql(second, RECORDED)), "the password before is still accepted"
    shell_output(second, f"bash {FILES}/passwords.sh remove-fingerprint")
    assert "encryption_password" not in shell_output(second, f"cat {DATA}/restored")
    second.restart()
    until_healthy(second, "primary")
    assert has_fingerprint(OTHER, sql(second, RECORDED))


def test_a_stack_without_a_fingerprint_gets_that_of_the_password_it_has(
    containers: Containers, databases: Databases
) -> None:
    volume = containers.volume("before")
    first = databases.primary(volume)
    until_healthy(first, "primary")
    containers.remove(first)
    second = databases.primary(volume, encryption=OURS, from_setting=False)
    until_healthy(second, "primary")
    assert has_fingerprint(OURS, sql(second, RECORDED))


class Core:
    """A web server in the place of a core, where users have passwords."""

    def __init__(self, containers: Containers, databases: Databases) -> None:
        """Start it."""
        conf = """pid /tmp/nginx.pid; events {} http { access_log /dev/stdout; server { listen 8080; location = /api/me {
            auth_basic DHIS2; auth_basic_user_file /tmp/users; root /tmp/www; } } }"""
        files: dict[str, str | bytes] = {"/etc/nginx/nginx.conf": conf}
        self.container = containers.start(
            NGINX, "nginx", "-g", "daemon off;", files=files, alias="core-1", network=databases.network
        )
        self.container.put_archive("/tmp", packed({"www/api/me": "{}"}))  # noqa: S108
        self.set(admin=DEFAULT)

    def set(self, **passwords: str) -> None:
        """Change the passwords."""
        lines = [f"{user}:{{PLAIN}}{password}\n" for user, password in passwords.items()]
        self.container.put_archive("/tmp", packed({"users": "".join(lines)}))  # noqa: S108

    def requests(self) -> int:
        """Return how many requests it has answered."""
        return logs(self.container).count("GET /api/me")


@pytest.fixture(scope="module")
def core(containers: Containers, databases: Databases) -> Core:
    return Core(containers, databases)


def run(primary: Container, command: str, *arguments: str) -> tuple[int, str]:
    return execute(primary, "bash", f"{FILES}/passwords.sh", command, *arguments)


def verify(primary: Container, *openness: str) -> tuple[int, str]:
    return run(primary, "verify-admin", "core-1", "8080", *openness)


def store(primary: Container, password: str, username: str = "admin") -> str:
    """Store a user's password in the database, as DHIS2 does. Return the hash."""
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=6, prefix=b"2a")).decode()
    sql(primary, f"UPDATE userinfo SET password = $x${hashed}$x$ WHERE username = $x${username}$x$")  # noqa: S608
    return hashed


def stored(primary: Container) -> str:
    return sql(primary, "SELECT password FROM userinfo WHERE username = 'admin'")


def has(primary: Container, password: str) -> bool:
    """Return whether admin has a password in the database."""
    return bcrypt.checkpw(password.encode(), stored(primary).encode())


Primary = Callable[..., Container]


@pytest.fixture
def start(containers: Containers, databases: Databases, core: Core) -> Iterator[Primary]:
    """A function that starts a primary with a blank database in which a core has created the user admin since."""
    started: list[Container] = []

    def primary(admin: str = "setting", has: str = DEFAULT) -> Container:
        container = databases.primary(containers.volume(), admin=admin)
        started.append(container)
        until_healthy(container, "primary")
        sql(container, f"SET ROLE dhis; {ACCOUNTS}")
        store(container, has)
        core.set(admin=has)
        return container

    yield primary
    for container in started:
        containers.remove(container)


def test_a_refused_login_of_admin_may_be_helped_by_setting_its_password(start: Primary, core: Core) -> None:
    primary = start()
    code, output = verify(primary)
    assert code == 3 and "DHIS2 refuses the login of its user admin" in output
    assert run(primary, "set-admin")[0] == 0
    assert has(primary, ADMIN_PASSWORD)
    assert sql(primary, "SELECT password FROM userinfo WHERE username = 'other'") == "x"
    assert sql(primary, "SELECT passwordlastupdated > '2025-01-01' FROM userinfo WHERE username = 'admin'") == "t", (
        "DHIS2 may refuse passwords that are old"
    )
    assert verify(primary)[0] == 3, "the core has the account before in its cache"
    core.set(admin=ADMIN_PASSWORD)
    assert verify(primary) == (0, "password=setting")


def test_a_password_of_the_setting_may_be_changed_in_dhis2(start: Primary) -> None:
    primary = start(has=ADMIN_PASSWORD)
    assert verify(primary) == (0, "password=setting")
    store(primary, "changed in DHIS2")
    assert verify(primary) == (0, "password=unknown"), "the setting is for the beginning"
    assert verify(primary, "open") == (0, "password=unknown"), "also where others can reach the stack"
    primary.put_archive(f"{FILES}/secrets", packed({"admin-password": "Another-Setting-8"}))
    assert verify(primary)[0] == 3, "another value of the setting is to be set"


def test_a_generated_password_takes_the_place_of_the_default_only(start: Primary, core: Core) -> None:
    primary = start("generator")
    for prefix in ("$2a$", "$2b$", "$2y$"):
        sql(primary, f"UPDATE userinfo SET password = $x${prefix}$x$ || substr(password, 5) WHERE username = 'admin'")  # noqa: S608
        assert verify(primary, "open")[0] == 3, prefix
    chosen = store(primary, "chosen in DHIS2")
    before = core.requests()
    assert verify(primary, "open") == (0, "password=unknown")
    assert run(primary, "set-admin", "open") == (0, "") and stored(primary) == chosen
    assert core.requests() == before, "DHIS2 may lock an account after logins that fail"
    store(primary, DEFAULT)
    run(primary, "set-admin", "open")
    core.set(admin=ADMIN_PASSWORD)
    assert verify(primary, "open") == (0, "password=generated")


def test_another_generated_password_takes_the_place_of_a_generated_one(start: Primary) -> None:
    primary = start("generator")
    run(primary, "set-admin", "open")
    primary.put_archive(f"{FILES}/secrets", packed({"admin-password": "of-another-state-Aa1"}))
    assert verify(primary, "open")[0] == 3, "the one of a state that was removed is lost"
    run(primary, "set-admin", "open")
    assert has(primary, "of-another-state-Aa1")


def test_the_password_of_a_dump_stays_where_none_is_to_be_set(start: Primary, core: Core) -> None:
    primary = start("dump")
    assert verify(primary) == (0, "password=default")
    store(primary, ADMIN_PASSWORD)
    core.set(admin=ADMIN_PASSWORD)
    assert verify(primary) == (0, "password=generated"), "of a time when others could reach the stack"
    store(primary, "of the dump")
    before = core.requests()
    assert verify(primary) == (0, "password=unknown")
    sql(primary, "DELETE FROM userinfo WHERE username = 'admin'")
    assert verify(primary) == (0, "password=unknown")
    assert core.requests() == before


def test_accounts_with_well_known_passwords_are_disabled_where_others_can_reach_the_stack(
    start: Primary, core: Core
) -> None:
    primary = start(has=ADMIN_PASSWORD)
    disabled = "SELECT string_agg(username, ' ' ORDER BY username) FROM userinfo WHERE disabled"
    sql(primary, "INSERT INTO userinfo VALUES ('system', 'x', NULL, false), ('android', 'x', NULL, false)")
    store(primary, "System123", "system")
    store(primary, "changed in DHIS2", "android")
    assert verify(primary) == (0, "password=setting")
    assert sql(primary, disabled) == "", "only people on the Docker host can use it"
    core.set(admin=ADMIN_PASSWORD, system="System123")
    code, output = verify(primary, "open")
    assert code == 3 and "disabled=system" in output.splitlines(), "the core has the account before in its cache"
    assert sql(primary, disabled) == "system"
    sql(primary, "UPDATE userinfo SET disabled = false WHERE username = 'system'")
    run(primary, "set-admin", "open")
    assert sql(primary, disabled) == "system", "a core may have written it back before it was stopped"
    assert verify(primary, "open") == (0, "password=setting")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE userinfo SET disabled = true WHERE username = 'admin'", "the account is disabled"),
        ("DELETE FROM userinfo WHERE username = 'admin'", "the database has no such user"),
        ("UPDATE userinfo SET twofactortype = 'TOTP_ENABLED'", "the account has two-factor authentication"),
    ],
)
def test_an_account_that_cannot_log_in_is_reported_with_the_reason(start: Primary, change: str, reason: str) -> None:
    primary = start()
    sql(primary, change)
    code, output = verify(primary)
    assert code == 1, "setting the password again does not help"
    assert reason in output and "pulumi config rm adminPassword" in output


@pytest.mark.parametrize(
    "change",
    ["UPDATE userinfo SET disabled = true WHERE username = 'admin'", "DELETE FROM userinfo WHERE username = 'admin'"],
)
def test_an_account_that_cannot_log_in_needs_no_generated_password(start: Primary, change: str) -> None:
    primary = start("generator")
    sql(primary, change)
    assert verify(primary, "open") == (0, "password=unknown")


def test_a_password_is_verified_as_set_where_two_factor_authentication_refuses_it_alone(start: Primary) -> None:
    primary = start()
    assert run(primary, "set-admin")[0] == 0
    sql(primary, "UPDATE userinfo SET twofactortype = 'EMAIL_ENABLED'")
    assert verify(primary) == (0, "password=setting")


@pytest.mark.parametrize(("has", "code"), [("changed in DHIS2", 0), (DEFAULT, 3)])
def test_a_password_that_an_older_version_has_set_is_kept_unless_it_is_the_default(
    start: Primary, has: str, code: int
) -> None:
    primary = start(has=has)
    shell_output(primary, f": >{DATA}/admin-password-set")
    assert verify(primary)[0] == code
    if code == 0:
        primary.put_archive(f"{FILES}/secrets", packed({"admin-password": "Another-Setting-8"}))
        assert verify(primary)[0] == 3, "from then on another value of the setting is to be set"


def test_no_answer_of_a_core_is_reported(start: Primary) -> None:
    primary = start(has=ADMIN_PASSWORD)
    code, output = run(primary, "verify-admin", "no-such-host", "8080")
    assert code == 1
    assert f"{UNVERIFIED}: no-such-host answered nothing to a login; try again: pulumi up" in output


def test_the_password_of_admin_is_in_no_log_and_no_argument(start: Primary) -> None:
    primary = start()
    run(primary, "set-admin")
    verify(primary)
    sql(primary, "DROP TABLE userinfo")
    code, output = run(primary, "set-admin")
    assert code != 0 and ADMIN_PASSWORD[:6] not in output
    code, output = verify(primary)
    assert code == 1 and "could not be verified: the database did not answer" in output
    assert ADMIN_PASSWORD[:6] not in logs(primary) and APP_PASSWORD[:6] not in logs(primary)
    assert "$2a$" not in logs(primary), "nor its hash"


def test_a_trigger_of_a_dump_does_not_run_as_superuser(containers: Containers, databases: Databases) -> None:
    databases.add_dump((ACCOUNTS + SPY).encode(), "5a" * 32)
    container = databases.primary(containers.volume("trigger"), "5a" * 32, admin="setting")
    until_healthy(container, "primary")
    assert sql(container, "SELECT string_agg(DISTINCT who, ' ') FROM ran") == "dhis"


@pytest.mark.parametrize(
    ("admin", "password", "is_set"),
    [
        ("setting", "chosen in DHIS2", True),
        ("generator", DEFAULT, True),
        ("generator", "chosen in DHIS2", False),
        ("generator", "generated by another stack", True),
        ("dump", DEFAULT, False),
        ("dump", "generated by another stack", False),
    ],
)
def test_a_restore_sets_a_generated_password_instead_of_the_default_or_a_generated_one_only(
    containers: Containers, databases: Databases, admin: str, password: str, is_set: bool
) -> None:
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=6, prefix=b"2a")).decode()
    key = hashlib.sha256(f"{admin} {password}".encode()).hexdigest()
    generated = RECORD.format(hashed) if password.startswith("generated") else ""
    databases.add_dump((ACCOUNTS.replace("of the dump", hashed) + generated).encode(), key)
    container = databases.primary(containers.volume(), key, admin=admin)
    until_healthy(container, "primary")
    assert (stored(container) != hashed) is is_set
    assert has(container, ADMIN_PASSWORD) is is_set
    containers.remove(container)
