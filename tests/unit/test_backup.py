"""The backup container: when there is one, what it gets, and what `pulumi up` reports of it."""

from collections.abc import Sequence

import pytest

from components.orchestrator.swarm.watcher import SwarmWatcher
from components.orchestrator.watcher import NotReady, WaitTarget
from components.settings.backup import longest_gap_seconds
from tests.support.program import CONTAINER, GENERATED, PREFIX, VOLUME, FakeWatcher, Recorded, Run, visible
from tests.support.ssh_keys import ssh_key
from tests.support.swarm import ON_SWARM
from tests.unit.test_settings import PUBLIC_KEY

SECRETS = "/opt/dhis2-cluster/secrets"
DATA = "/var/tmp"  # noqa: S108 - in the containers
PARTS = {"backup", "backup-tools"}
S3 = {
    "backupSchedule": "manual",
    "backupRepository": "s3:https://s3.example.org/bucket",
    "backupAccessKey": "an-access-key",
    "backupSecretKey": "a-secret-key",
}

SSH_KEY = ssh_key()
SFTP = {
    "backupSchedule": "manual",
    "backupRepository": "sftp:keeper@backup.example.org:/dhis2",
    "backupSshKey": SSH_KEY,
    "backupKnownHosts": f"backup.example.org {PUBLIC_KEY}",
}


def parts(recorded: Recorded) -> set[str]:
    return {container.name for container in recorded.of(CONTAINER)}


def volumes(recorded: Recorded) -> dict[str, bool]:
    """Return whether a destroy leaves them, by volume."""
    return {item.name: item.request.retainOnDelete for item in recorded.of(VOLUME)}


class Down(FakeWatcher):
    """A watcher of a swarm whose backup container does not run."""

    async def execute(self, container: str, command: Sequence[str]) -> tuple[int, str]:
        if container == f"{PREFIX}-backup":
            raise NotReady("no task runs")
        return await super().execute(container, command)

    def log_command(self, target: WaitTarget) -> str:
        return SwarmWatcher.log_command(self, target)  # type: ignore[arg-type]


def test_a_warning_names_the_command_that_shows_the_log_on_a_swarm(run: Run) -> None:
    recorded = run(watcher=Down(), backupSchedule="manual", **ON_SWARM)
    (warning,) = [text for text in recorded.warnings if text.startswith("backups:")]
    assert warning.endswith(f"does not run; see why: docker service logs {PREFIX}-backup")


def test_a_demo_has_no_backups_and_kept_data_has_them_every_night(built: Run) -> None:
    assert not parts(built()) & PARTS and "backup" not in volumes(built())
    assert DATA not in mounts(built(), "primary")
    kept = built(keepData="true")
    assert parts(kept) >= PARTS
    assert kept.container("backup").environment["SCHEDULE"] == "0 2 * * *"
    assert not parts(built(keepData="true", backupSchedule="off")) & PARTS


def test_backups_outlive_the_stack_and_its_tools_do_not(built: Run) -> None:
    found = volumes(built(backupSchedule="manual"))
    assert found["backup"] and not found["backup-tools"], "the loss of the stack is what backups are for"
    assert not found["primary-data"], "keepData is false"


def test_the_repository_s_password_stays_while_there_are_no_backups(built: Run) -> None:
    name = "backup-password"
    kinds = {item.kind for item in built().resources if item.name == name}
    assert kinds == {item.kind for item in built(backupSchedule="manual").resources if item.name == name} != set(), (
        "turning backups off and on must not make those of before unreadable"
    )


def test_turning_backups_on_replaces_nothing_but_the_primary(built: Run) -> None:
    before, after = (
        {item.name: item.raw for item in run.of(CONTAINER)} for run in (built(), built(backupSchedule="manual"))
    )
    assert {name for name in before if before[name] != after[name]} == {"primary"}


def test_a_changed_schedule_replaces_the_backup_container_alone(built: Run) -> None:
    before, after = built(backupSchedule="0 1 * * *"), built(backupSchedule="0 3 * * 0", backupKeep="daily=3")
    old, new = ({item.name: item.raw for item in run.of(CONTAINER)} for run in (before, after))
    assert {name for name in old if old[name] != new[name]} == {"backup"}
    environment = after.container("backup").environment
    assert environment["KEEP"] == "daily=3" and int(environment["MAX_AGE_SECONDS"]) > 7 * 86400


def mounts(recorded: Recorded, name: str) -> dict[str, tuple[str, bool]]:
    """Return the volumes of a container and whether they are read-only, by path."""
    entries = recorded.container(name).inputs.get("mounts", [])
    return {entry["target"]: (entry["source"], bool(entry.get("readOnly"))) for entry in entries}


def test_the_primary_only_reads_the_backups(built: Run) -> None:
    recorded = built(backupSchedule="manual")
    assert mounts(recorded, "primary")[DATA] == (f"{PREFIX}-backup", True)
    assert mounts(recorded, "backup") == {
        DATA: (f"{PREFIX}-backup", False),
        "/files": (f"{PREFIX}-files", False),
        "/tools": (f"{PREFIX}-backup-tools", True),
    }
    assert recorded.container("backup").needs >= {"core-1"}, "the first container of the volume decides its owner"


def test_the_backup_container_reaches_out_only_for_a_repository_elsewhere(built: Run) -> None:
    def networks(recorded: Recorded) -> list[str]:
        return [entry["name"] for entry in recorded.container("backup").inputs["networksAdvanced"]]

    assert len(networks(built(backupSchedule="manual"))) == 1
    assert len(networks(built(**S3))) == 2


def test_secrets_are_files(built: Run) -> None:
    files = built(**S3).container("backup").files
    assert files[f"{SECRETS}/backup-repository"] == "s3:https://s3.example.org/bucket"
    assert files[f"{SECRETS}/backup-password"] == f"{GENERATED}backup-password"
    assert files[f"{SECRETS}/encryption-password"] == f"{GENERATED}encryption-password"
    assert "aws_secret_access_key = a-secret-key" in files[f"{SECRETS}/s3-credentials"]
    assert built().container("primary").files.get(f"{SECRETS}/backup-role-password") is None


def test_a_repository_on_sftp_gets_the_private_key_the_host_keys_and_an_ssh(built: Run) -> None:
    recorded = built(**SFTP)
    files = recorded.container("backup").files
    assert files[f"{SECRETS}/ssh-key"] == SSH_KEY
    assert files["/opt/dhis2-cluster/known_hosts"] == f"backup.example.org {PUBLIC_KEY}\n"
    assert recorded.container("backup-tools").environment == {"WITH_SSH": "true"}
    assert SSH_KEY.splitlines()[1] not in str(visible(recorded.container("backup").raw)), "it is a secret of the state"


def test_another_private_key_or_host_key_replaces_the_backup_container_alone(built: Run) -> None:
    changed = SFTP | {"backupSshKey": ssh_key(), "backupKnownHosts": f"[backup.example.org]:22 {PUBLIC_KEY}"}
    old, new = ({item.name: item.raw for item in built(**run).of(CONTAINER)} for run in (SFTP, changed))
    assert {name for name in old if old[name] != new[name]} == {"backup"}


def test_the_encryption_password_can_be_left_out(built: Run) -> None:
    files = built(backupSchedule="manual", backupEncryptionPassword="false").container("backup").files
    assert f"{SECRETS}/encryption-password" not in files


def test_the_password_is_an_output_and_secret(built: Run) -> None:
    assert "backupPassword" not in built().outputs
    recorded = built(backupSchedule="manual")
    assert recorded.outputs["backupPassword"] == f"{GENERATED}backup-password"
    assert "backupPassword" in recorded.secret_outputs
    assert built(backupSchedule="manual", backupPassword="mine").outputs["backupPassword"] == "mine"


def test_a_bucket_without_an_access_key_is_warned_about(built: Run) -> None:
    settings = {key: value for key, value in S3.items() if key.endswith(("Schedule", "Repository"))}
    assert any("there is no access key for it" in text for text in built(**settings).warnings)
    assert not any("access key" in text for text in built(**S3).warnings)


@pytest.mark.parametrize(
    ("schedule", "seconds"),
    [("0 2 * * *", 86_400), ("*/5 * * * *", 300), ("0 0 1 * *", 31 * 86_400), ("30 2 * * 1-5", 3 * 86_400)],
)
def test_the_longest_gap_of_a_schedule_decides_when_a_backup_is_overdue(schedule: str, seconds: int) -> None:
    assert longest_gap_seconds(schedule) == seconds
