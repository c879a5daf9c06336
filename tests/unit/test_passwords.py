"""encryption.password of a stack's database, and the password of the user admin, as the program handles them."""

import hashlib

import pulumi
import pytest

from components.database.passwords import has_fingerprint
from tests.support.program import CONTAINER, GENERATED, FakeEngine, FakeWatcher, Recorded, Run

OURS, OTHER = "our-encryption-${PASSWORD}", "another-encryption-password"
CONF, MARKER = ("core-1", "/opt/dhis2/dhis.conf"), ("primary", "/var/lib/postgresql/restored")
PASSWORD_FILE = "/opt/dhis2-cluster/secrets/encryption-password"  # noqa: S105


def fingerprint(password: str, iterations: int = 1000) -> str:
    salt = "5a" * 16
    computed = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), iterations).hex()
    return f"pbkdf2-sha256${iterations}${salt}${computed}"


def encryption_line(recorded: Recorded) -> str:
    """Return the line of dhis.conf."""
    lines = recorded.container("core-1").files["/opt/dhis2/dhis.conf"].splitlines()
    (line,) = [line for line in lines if line.startswith("encryption.")]
    return line


def deployed(line: str, answer: tuple[int, str] = (1, ""), marker: str = "accepted_key=none\n") -> FakeWatcher:
    """Return the Docker Engine of a stack: a line of its core's dhis.conf, and what its primary has recorded."""
    files = {CONF: f"# comment\n{line}\n", MARKER: marker}
    return FakeWatcher(engine=FakeEngine(files=files, answers=[answer]))


def test_an_encryption_password_of_the_setting_is_used_instead_of_the_generated_one(built: Run) -> None:
    chosen = built(encryptionPassword=OURS)
    assert encryption_line(chosen) == "encryption.password = our-encryption-$${PASSWORD}", "DHIS2 reads it literally"
    holders = [item.name for item in chosen.of(CONTAINER) if "our-encryption" in str(item.inputs)]
    assert sorted(holders) == ["core-1", "primary"], "no other part needs it"
    assert chosen.container("primary").files[PASSWORD_FILE] == OURS
    assert chosen.outputs["encryptionPassword"] == OURS
    assert built().outputs["encryptionPassword"] == f"{GENERATED}encryption-password"


def test_the_generated_encryption_password_stays_in_the_state_beside_the_setting(built: Run) -> None:
    def passwords(recorded: Recorded) -> list[tuple[str, str]]:
        return sorted((item.name, str(item.raw)) for item in recorded.resources if "RandomPassword" in item.kind)

    assert passwords(built(encryptionPassword=OURS)) == passwords(built()), "unset, it must be the same as before"


@pytest.mark.parametrize("preview", [False, True])
@pytest.mark.parametrize("answer", [(0, fingerprint(OTHER)), (0, "no fingerprint"), (126, "no such script")])
def test_another_encryption_password_is_refused_before_a_core_or_the_primary_changes(
    run: Run, answer: tuple[int, str], preview: bool
) -> None:
    watcher = deployed(f"encryption.password = {OTHER}", answer)
    recorded = Recorded(watcher=watcher)
    with pytest.raises(pulumi.RunError, match="the stack's database was used with another encryption") as caught:
        run(into=recorded, preview=preview, encryptionPassword=OURS, dumpUrl="none")
    assert "pulumi config rm encryptionPassword" in str(caught.value)
    names = {item.name for item in recorded.resources}
    assert not names & {"primary", "core-1", "core-replacement"}, "deleting cores would already interrupt the service"
    assert OTHER not in str(caught.value) and OURS not in str(caught.value)


def test_the_refusal_names_the_fingerprint_of_the_one_in_use(run: Run) -> None:
    with pytest.raises(pulumi.RunError, match=f"fingerprint {fingerprint(OTHER)[-64:]}"):
        run(
            watcher=deployed(f"encryption.password = {OTHER}", (0, fingerprint(OTHER))),
            encryptionPassword=OURS,
            dumpUrl="none",
        )


def test_the_generated_encryption_password_is_refused_where_the_setting_was_used(run: Run) -> None:
    with pytest.raises(pulumi.RunError, match="was used with another encryption password"):
        run(watcher=deployed(f"encryption.password = {OTHER}", (0, fingerprint(OTHER))), dumpUrl="none")


ALLOWED = {
    "it is the one in use": ("encryption.password = our-encryption-$${PASSWORD}", (1, ""), {}),
    "the database has been used with it": (f"encryption.password = {OTHER}", (0, fingerprint(OURS)), {}),
    "the user has removed the record": (f"encryption.password = {OTHER}", (0, "\n"), {}),
    "another dump replaces the database": (
        f"encryption.password = {OTHER}",
        (0, fingerprint(OTHER)),
        {"dumpUrl": "https://example.org/mine.sql.gz"},
    ),
}


@pytest.mark.parametrize(("line", "answer", "settings"), ALLOWED.values(), ids=ALLOWED.keys())
def test_an_encryption_password_is_accepted_where_nothing_is_lost(
    run: Run, line: str, answer: tuple[int, str], settings: dict[str, object]
) -> None:
    recorded = run(watcher=deployed(line, answer), **{"dumpUrl": "none", "encryptionPassword": OURS, **settings})
    assert encryption_line(recorded) == "encryption.password = our-encryption-$${PASSWORD}"


def test_another_dump_that_keep_data_does_not_restore_needs_the_encryption_password_in_use(run: Run) -> None:
    with pytest.raises(pulumi.RunError, match="was used with another encryption password"):
        run(
            watcher=deployed(f"encryption.password = {OTHER}", (0, fingerprint(OTHER))),
            encryptionPassword=OURS,
            dumpUrl="https://example.org/mine.sql.gz",
            keepData="true",
        )


def test_values_that_cannot_be_read_after_a_destroy_are_warned_about(run: Run) -> None:
    kept = FakeWatcher(engine=FakeEngine(printed="encryption_password=other\n"))
    (warning,) = run(watcher=kept, cores=2).warnings
    assert "DHIS2 cannot read what is encrypted" in warning
    assert "docker exec dhis2-cluster-test-primary bash /opt/dhis2-cluster/passwords.sh remove-fingerprint" in warning


@pytest.mark.parametrize("password", ["x", "y" * 100, OURS, "ä'\\\n"])
def test_a_fingerprint_is_of_one_password_only(password: str) -> None:
    assert has_fingerprint(password, fingerprint(password))
    assert not has_fingerprint(f"{password}.", fingerprint(password))
    assert not has_fingerprint(password, fingerprint(password)[:-1])


VERIFY, RESTART = "verify-admin", ["stop core-1", "stop core-2", "set-admin", "start core-1", "start core-2"]
REFUSED = (3, "DHIS2 refuses the login of its user admin")


@pytest.mark.parametrize(
    ("answers", "done"),
    [
        ([(0, "")], [VERIFY]),
        ([REFUSED, (0, ""), (0, "")], [VERIFY, *RESTART, VERIFY]),
    ],
)
def test_the_password_of_admin_is_verified_and_set_again_only_where_a_login_is_refused(
    run: Run, answers: list[tuple[int, str]], done: list[str]
) -> None:
    engine = FakeEngine(answers=answers)
    run(watcher=FakeWatcher(engine=engine), cores=2, adminPassword="Correct-Horse-7")
    assert [action.removesuffix(" within 60 s") for action in engine.done] == done, "a running core keeps the old one"


@pytest.mark.parametrize("answers", [[REFUSED, (0, ""), REFUSED], [(1, REFUSED[1])]])
def test_up_fails_when_the_password_of_admin_does_not_work(run: Run, answers: list[tuple[int, str]]) -> None:
    with pytest.raises(pulumi.RunError, match=REFUSED[1]):
        run(watcher=FakeWatcher(engine=FakeEngine(answers=answers)), adminPassword="Correct-Horse-7")


def test_without_the_setting_no_login_is_made(built: Run) -> None:
    assert built(cores=2).watcher.engine.done == []


def test_a_preview_makes_no_login(run: Run) -> None:
    assert run(preview=True, adminPassword="Correct-Horse-7").watcher.engine.done == []
