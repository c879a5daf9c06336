"""encryption.password of a stack's database, and the password of the user admin, as the program handles them."""

import asyncio
import hashlib
from collections.abc import Sequence

import pulumi
import pytest

from components.database import passwords
from components.database.passwords import has_fingerprint
from components.orchestrator.commands import NOT_RUNNING
from components.orchestrator.watcher import NotReady
from components.settings import validators
from tests.support.program import CONTAINER, GENERATED, PREFIX, FakeEngine, FakeWatcher, Recorded, Run

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
    def generated(recorded: Recorded) -> list[tuple[str, str]]:
        return sorted((item.name, str(item.raw)) for item in recorded.resources if "RandomPassword" in item.kind)

    assert generated(built(encryptionPassword=OURS)) == generated(built()), "unset, it must be the same as before"


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
    "it is the one in use": ("encryption.password = our-encryption-$${PASSWORD}", (0, ""), {}),
    "the database has been used with it": (f"encryption.password = {OTHER}", (0, fingerprint(OURS)), {}),
    "a swarm does not hand out what a core has": ("", (0, fingerprint(OURS)), {}),
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


def test_a_swarm_whose_primary_does_not_run_tells_nothing_of_the_encryption_password(run: Run) -> None:
    files = {CONF: "", MARKER: "accepted_key=none\n"}
    watcher = FakeWatcher(engine=FakeEngine(files=files, answers=[(NOT_RUNNING, "no running task")]))
    run(watcher=watcher, dumpUrl="none", encryptionPassword=OURS)  # its next start compares


def test_another_encryption_password_that_a_swarm_has_already_is_not_refused_again(run: Run) -> None:
    files = {CONF: "", MARKER: "accepted_key=none\nencryption_password=other\n"}
    watcher = FakeWatcher(engine=FakeEngine(files=files, answers=[(0, fingerprint(OTHER))]))
    run(watcher=watcher, dumpUrl="none")  # as after a destroy with keepData, where the generated one is lost


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
REFUSED = (3, "problem=DHIS2 refuses the login of its user admin")
UNVERIFIED = (1, f"problem=whether admin has the password {passwords.UNVERIFIED}: core-1 answered 500 to a login")
CHOSEN = {"adminPassword": "Correct-Horse-7"}
OPEN = {"bind": "0.0.0.0"}  # noqa: S104 - on no machine
GENERATED_ADMIN = f"{GENERATED}admin-password-Aa1"
ADMIN_FILE = "/opt/dhis2-cluster/secrets/admin-password"


def done(watcher: FakeWatcher) -> list[str]:
    """Return what was done with passwords and cores, in its order."""
    return [action.removesuffix(" within 60 s") for action in watcher.engine.done]


def verifying(*answers: tuple[int, str]) -> FakeWatcher:
    """Return the Docker Engine of a stack whose passwords.sh has these exit codes and outputs, in turn."""
    return FakeWatcher(engine=FakeEngine(answers=list(answers)))


@pytest.mark.parametrize("settings", [CHOSEN, OPEN, {}], ids=["chosen", "open", "the dump's own"])
def test_every_up_makes_a_login_with_the_password_that_it_puts_out(run: Run, settings: dict[str, object]) -> None:
    recorded = run(cores=2, **settings)
    assert done(recorded.watcher) == [VERIFY]
    expected = {"setting": "Correct-Horse-7", "generated": GENERATED_ADMIN, "default": "district"}
    assert recorded.outputs["adminPassword"] == expected[recorded.watcher.engine.admin_has]
    assert "adminPassword" in recorded.secret_outputs


def test_the_password_of_admin_is_set_while_no_core_runs_and_verified(run: Run) -> None:
    watcher = verifying(REFUSED, (0, ""), (0, "password=setting"))
    run(watcher=watcher, cores=2, **CHOSEN)
    assert done(watcher) == [VERIFY, *RESTART, VERIFY], "a running core keeps the old one"


@pytest.mark.parametrize("answers", [[REFUSED, (0, ""), REFUSED], [(1, REFUSED[1])]])
def test_up_fails_when_the_password_of_admin_does_not_work(run: Run, answers: list[tuple[int, str]]) -> None:
    with pytest.raises(pulumi.RunError, match=r"^DHIS2 refuses the login of its user admin$"):
        run(watcher=verifying(*answers), **CHOSEN)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a core again at once."""
    monkeypatch.setattr(passwords, "RETRY_SECONDS", 0)


@pytest.mark.usefixtures("no_pause")
def test_a_core_that_answers_500_after_a_restart_of_the_database_is_asked_again(run: Run) -> None:
    watcher = verifying(UNVERIFIED, UNVERIFIED, (0, "password=setting"))
    run(watcher=watcher, **CHOSEN)
    assert done(watcher) == [VERIFY, VERIFY, VERIFY]


@pytest.mark.usefixtures("no_pause")
def test_up_fails_when_a_core_goes_on_answering_500(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "UNVERIFIED_SECONDS", 0)
    with pytest.raises(pulumi.RunError, match="core-1 answered 500 to a login"):
        run(watcher=verifying(UNVERIFIED, UNVERIFIED), **CHOSEN)


def test_a_script_that_fails_is_reported_with_what_it_printed(run: Run) -> None:
    with pytest.raises(pulumi.RunError, match="bash: no such file"):
        run(watcher=verifying((127, "bash: no such file")))


@pytest.mark.parametrize("settings", [CHOSEN, OPEN, {}], ids=["chosen", "open", "the dump's own"])
def test_a_password_that_was_changed_in_dhis2_is_not_put_out(run: Run, settings: dict[str, object]) -> None:
    recorded = run(watcher=FakeWatcher(engine=FakeEngine(admin_has="unknown")), **settings)
    assert recorded.outputs["adminPassword"].startswith("not known to the program")
    assert "adminPassword" in recorded.secret_outputs
    assert recorded.warnings == [], "it is what people are to do"


def test_a_generated_password_is_put_out_where_the_stack_was_open_before(run: Run) -> None:
    recorded = run(watcher=FakeWatcher(engine=FakeEngine(admin_has="generated")))
    assert recorded.outputs["adminPassword"] == GENERATED_ADMIN


@pytest.mark.parametrize(
    ("settings", "source", "password"),
    [
        (CHOSEN, "setting", "Correct-Horse-7"),
        (OPEN | CHOSEN, "setting", "Correct-Horse-7"),
        (OPEN, "generator", GENERATED_ADMIN),
        (OPEN | {"dumpUrl": "none"}, "generator", GENERATED_ADMIN),
        ({"baseUrl": "https://dhis2.example.org", "trustedProxies": "host"}, "generator", GENERATED_ADMIN),
        ({}, "dump", GENERATED_ADMIN),
    ],
)
def test_the_primary_is_given_the_password_of_admin_and_where_it_is_from(
    built: Run, settings: dict[str, object], source: str, password: str
) -> None:
    primary = built(**settings).container("primary")
    assert primary.environment["ADMIN_PASSWORD_FROM"] == source
    assert primary.files[ADMIN_FILE] == password


def test_a_generated_password_of_admin_is_one_that_dhis2_accepts() -> None:
    assert validators.password(GENERATED_ADMIN)


def test_opening_a_stack_with_a_chosen_password_replaces_the_load_balancer_only(built: Run) -> None:
    local, opened = built(**CHOSEN), built(**CHOSEN, **OPEN)
    names = [item.name for item in local.containers if item.raw != opened.container(item.name).raw]
    assert names == ["lb"]


def test_only_where_others_can_reach_the_stack_are_known_accounts_disabled(run: Run) -> None:
    def verified(**settings: object) -> Sequence[str]:
        (command,) = [item for item in run(**settings).watcher.engine.executed if VERIFY in item]
        return command[3:]

    assert verified() == ["core-1", "8080"]
    assert verified(**OPEN) == ["core-1", "8080", "open"]


def test_accounts_that_were_disabled_are_named_in_one_warning(run: Run) -> None:
    cached = (3, "password=generated\ndisabled=system\nproblem=DHIS2 accepts a login")
    watcher = verifying(cached, (0, ""), (0, "password=generated\ndisabled=android"))
    (warning,) = run(watcher=watcher, **OPEN).warnings
    assert "they are disabled: android, system." in warning
    assert done(watcher) == [VERIFY, "stop core-1", "set-admin", "start core-1", VERIFY]


def test_a_stack_opens_its_port_when_the_password_of_admin_is_verified(run: Run) -> None:
    recorded = run(cores=2, **OPEN)
    assert {"core-1", "core-2"} <= recorded.container("lb").needs
    watcher, before = recorded.watcher, len(recorded.watcher.waited)
    asyncio.run(recorded.gates["lb-gate"](None))
    assert watcher.waited[before:][-2:] == [f"{PREFIX}-core-1", f"{PREFIX}-core-2"]
    assert done(watcher) == [VERIFY, VERIFY]
    watcher.engine.answers = [(1, REFUSED[1])]
    with pytest.raises(NotReady, match="DHIS2 refuses the login"):
        asyncio.run(recorded.gates["lb-gate"](None))


def test_a_stack_that_only_its_host_can_reach_serves_a_page_while_dhis2_starts(built: Run) -> None:
    recorded = built()
    assert "lb-gate" not in recorded.gates
    assert "core-1" not in recorded.container("lb").needs


def test_a_preview_makes_no_login_and_puts_out_the_password_that_is_assigned(run: Run) -> None:
    recorded = run(preview=True, **CHOSEN)
    assert recorded.watcher.engine.done == []
    assert recorded.outputs["adminPassword"] == "Correct-Horse-7"
