"""A repository on SFTP: restic runs the ssh of its own image beside the pg_dump of the database's."""

import re
from collections.abc import Callable

import pytest
from docker.models.containers import Container

from components.backup.backup import DATA, UID
from components.orchestrator.container_paths import FILES
from components.templates.rendering import render
from tests.container.backups import Backups, attempt, create, health, sets
from tests.container.databases import PATH, Databases, until_healthy
from tests.container.sftp import HOME, HOST, PORT, USER, SftpServer, sftp_server
from tests.support.commands import logs, shell_output, sql
from tests.support.containers import Containers
from tests.support.project import POSTGRES
from tests.support.waiting import until, until_exited

pytestmark = pytest.mark.container

ENCRYPTION = "the encryption password of a stack"
FOLDER = f"{HOME}/a/new/folder"
REPOSITORY = f"sftp://{USER}@{HOST}:{PORT}/{FOLDER}"


@pytest.fixture(scope="module")
def backups(containers: Containers) -> Backups:
    return Backups(containers, Databases(containers, containers.volume("dumps")), ENCRYPTION, with_ssh=True)


@pytest.fixture(scope="module")
def server(containers: Containers, backups: Backups) -> SftpServer:
    return sftp_server(containers, backups.databases.network)


@pytest.fixture(scope="module")
def primary(containers: Containers, backups: Backups) -> Container:
    container = backups.databases.primary(containers.volume("data"), encryption=ENCRYPTION, backups=backups.data)
    until_healthy(container, "primary")
    sql(container, "SET ROLE dhis; CREATE TABLE mine (id integer); INSERT INTO mine SELECT generate_series(1, 1000)")
    return container


@pytest.fixture(scope="module")
def container(backups: Backups, server: SftpServer, primary: Container) -> Container:
    container = backups.start(repository=REPOSITORY, ssh_key=server.key, known_hosts=server.known_hosts)
    shell_output(container, "mkdir -p /files/document && echo first >/files/document/upload")
    return container


def test_a_backup_comes_back_from_the_server(container: Container, server: SftpServer) -> None:
    identifier = create(container)
    assert health(container)[0] == 0, health(container)[1]
    assert [made["short_id"] for made in sets(container)] == [identifier]
    assert shell_output(server.container, f"ls {FOLDER}/snapshots").startswith(identifier)
    shell_output(container, "echo second >/files/document/upload")
    code, output = attempt(container, "unpack", identifier, "all")
    assert code == 0, output
    assert "TABLE DATA public mine dhis" in shell_output(container, f"pg_restore -l {DATA}/unpacked/database.dump")
    assert attempt(container, "exchange-files")[0] == 0
    assert shell_output(container, "cat /files/document/upload") == "first"
    assert attempt(container, "discard")[0] == 0


def test_the_private_key_is_in_no_log_environment_or_command_line(container: Container, server: SftpServer) -> None:
    container.exec_run(["bash", f"{FILES}/backup.sh", "create"], detach=True)
    until(lambda: "ssh -F none" in str(container.top()), "ssh to run", container=container)
    text = logs(container) + str(container.attrs["Config"]) + str(container.top())
    for line in server.key.splitlines()[1:-1]:
        assert line not in text
    until(lambda: "last backup" in health(container)[1], "the backup to end", container=container)


def test_the_address_may_have_the_form_of_scp(backups: Backups, server: SftpServer) -> None:
    repository = f"sftp:{USER}@{HOST}:in/the/home"
    container = backups.start(repository=repository, ssh_key=server.key, known_hosts=server.known_hosts)
    assert health(container)[0] == 0, health(container)[1]
    assert "config" in shell_output(server.container, f"ls {HOME}/in/the/home").split()


# what -> repository, host keys from those of the server, and what is reported
NOT_OPENED: dict[str, tuple[str, Callable[[str], str], str]] = {
    "a server whose host key is not known": (
        REPOSITORY,
        lambda lines: lines.replace(HOST, "another"),
        f"is not in backupKnownHosts: No ED25519 host key is known for [{HOST}]:{PORT}",
    ),
    "a server with another host key": (
        REPOSITORY,
        lambda lines: re.sub(r"(ssh-ed25519 \S{40})\S{4}", r"\1AAAA", lines),
        f"is not in backupKnownHosts: Host key for [{HOST}]:{PORT} has changed",
    ),
    "a port that is closed": (f"sftp://{USER}@{HOST}:2/x", str, f"connect to host {HOST} port 2: Connection refused"),
    "a folder of another user": (f"sftp:{USER}@{HOST}:/root/x", str, "opened: unable to open config file: Lstat /root"),
    "a folder that cannot be created": (
        f"sftp:{USER}@{HOST}:/usr/x",
        str,
        f"cannot be initialised: create repository at sftp:{USER}@{HOST}:/usr/x failed: ",
    ),
}


@pytest.mark.parametrize(("repository", "host_keys", "reason"), NOT_OPENED.values(), ids=NOT_OPENED.keys())
def test_what_cannot_be_opened_is_named(
    backups: Backups, server: SftpServer, repository: str, host_keys: Callable[[str], str], reason: str
) -> None:
    known_hosts = host_keys(server.known_hosts)
    container = backups.start(repository=repository, ssh_key=server.key, known_hosts=known_hosts)
    code, output = health(container)
    assert code == 1 and reason in output
    assert "unable to start the sftp session" not in output, "that is no reason"


def test_a_key_that_the_server_refuses_is_named(backups: Backups, server: SftpServer) -> None:
    container = backups.start(repository=REPOSITORY, ssh_key=server.other_key, known_hosts=server.known_hosts)
    code, output = health(container)
    assert code == 1 and f"the SFTP server refuses the key in backupSshKey: {USER}@{HOST}: Permission denied" in output


# Which of them is reported depends on what was on its way when the connection ended.
ENDED = "ssh command exited"
KILLED = "restic still waited for answers 30 s after its connection had ended, and was killed"


@pytest.mark.parametrize(
    ("reacts", "reasons"),
    [
        pytest.param(True, (ENDED, KILLED), id="restic runs"),
        pytest.param(False, (KILLED,), id="restic does not react"),
    ],
)
def test_a_connection_that_ends_in_a_backup_leaves_no_set(
    container: Container, server: SftpServer, reacts: bool, reasons: tuple[str, ...]
) -> None:
    before = [made["id"] for made in sets(container)]
    shell_output(container, "head -c 120000000 /dev/urandom >/files/large")
    container.exec_run(["bash", f"{FILES}/backup.sh", "create"], detach=True)
    server.end_connection(FOLDER, None if reacts else lambda: shell_output(container, "pkill -STOP -x restic"))
    until(lambda: "backup is running" not in health(container)[1], "the backup to fail")
    assert "failed: restic could not store everything" in health(container)[1], health(container)[1]
    assert any(reason in health(container)[1] for reason in reasons), health(container)[1]
    assert [made["id"] for made in sets(container)] == before
    shell_output(container, "rm /files/large")
    create(container)
    assert health(container)[0] == 0


def test_an_image_without_ssh_is_named(containers: Containers) -> None:
    script = "#!/bin/sh\n"
    copy = containers.start(
        POSTGRES,
        entrypoint=["/bin/sh", f"{FILES}/tools.sh"],
        files={f"{FILES}/tools.sh": render("backup/tools.sh")}
        | {f"/commands/{name}": script for name in ("restic", "supercronic")},
        user=f"{UID}:{UID}",
        environment={"WITH_SSH": "true", "PATH": f"/commands:{PATH}"},
    )
    assert "fatal: this image has no ssh, which a backupRepository on SFTP needs" in until_exited(copy)
    assert copy.wait()["StatusCode"] == 1
