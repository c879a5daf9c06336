"""The trial of a file store on a real Docker Engine, and what it reports."""

from collections.abc import Iterator

import pytest

from components.file_store.file_store import CURL, EMPTY, OLD_FOLDER, TRIAL_FOLDER, TRY_FOLDER, UID
from components.naming import Naming
from components.orchestrator.container_paths import FILES
from components.orchestrator.nfs import nfs_options, nfs_volume_name
from components.orchestrator.short_lived import NOT_STARTED, ShortLived, run_short_lived
from components.settings.file_store import NfsExport
from components.templates.rendering import render
from tests.support.containers import Containers, gateway_of
from tests.support.project import NGINX, POSTGRES
from tests.support.s3 import S3Server, s3_server
from tests.support.waiting import until_exited

pytestmark = pytest.mark.container

EXPORT = NfsExport("127.0.0.1", "/srv/no-such-export")


def try_folder(containers: Containers, volume: str, old: str = "") -> tuple[int, str]:
    """Return what the trial of a folder reports; nothing of it is left."""
    old = old or containers.volume("old")
    spec = ShortLived(
        name=f"{containers.prefix}-trial",
        image=POSTGRES,
        uid=UID,
        memory_mb=64,
        command=("/bin/sh", "-c", TRY_FOLDER),
        mounts={TRIAL_FOLDER: volume, OLD_FOLDER: old},
        no_copy=True,
    )
    result = run_short_lived(containers.client, spec)
    assert containers.client.containers.list(all=True, filters={"name": spec.name}, sparse=True) == []
    return result


@pytest.fixture(scope="module")
def server(containers: Containers) -> Iterator[S3Server]:
    """Run an S3 server that containers reach."""
    with s3_server(gateway_of(containers.network)) as server:
        yield server


def try_bucket(
    containers: Containers,
    server: S3Server,
    bucket: str = "dhis2-files",
    *,
    url: str = "",
    key: str = "",
    secret: str = "",
    old: str = "",
) -> tuple[int, str]:
    """Return what the trial of a bucket reports."""
    spec = ShortLived(
        name=f"{containers.prefix}-trial",
        image=NGINX,
        uid=UID,
        memory_mb=64,
        command=("/bin/sh", f"{FILES}/try-bucket.sh"),
        network=str(containers.network.name),
        environment={
            "BUCKET_URL": f"{url or server.url}/{bucket}",
            "BUCKET": bucket,
            "LOCATION": "",
            "OLD_FOLDER": OLD_FOLDER,
            "EMPTY": EMPTY,
        },
        mounts={OLD_FOLDER: old or containers.volume("old")},
        no_copy=True,
        secrets={
            CURL: f'user = "{key or server.access_key}:{secret or server.secret_key}"\naws-sigv4 = "aws:amz:us-east-1:s3"\n',
            f"{FILES}/try-bucket.sh": render("file_store/try-bucket.sh"),
        },
    )
    return run_short_lived(containers.client, spec)


def test_a_folder_that_the_cores_may_write_to_is_accepted(containers: Containers) -> None:
    volume = containers.volume("files", type="tmpfs", device="tmpfs", o=f"uid={UID},mode=700")
    assert try_folder(containers, volume) == (0, "")


def test_files_that_would_not_be_found_are_noticed(containers: Containers, server: S3Server) -> None:
    old, new = containers.volume("old"), containers.volume("new", type="tmpfs", device="tmpfs", o=f"uid={UID}")
    mounted = {old: {"bind": "/old", "mode": "rw"}}
    writes = ["sh", "-c", "echo file >/old/file"]
    until_exited(containers.start(POSTGRES, entrypoint=writes, volumes=mounted, user="0"))
    assert try_folder(containers, new, old) == (0, EMPTY)
    assert try_bucket(containers, server, "without-files", old=old) == (0, EMPTY)
    server.put("without-files", "key", b"content")
    assert try_bucket(containers, server, "without-files", old=old) == (0, "")


def test_a_folder_of_another_user_is_refused(containers: Containers) -> None:
    volume = containers.volume("files", type="tmpfs", device="tmpfs", o="uid=1,mode=755")
    code, output = try_folder(containers, volume)
    assert code > 0 and "Permission denied" in output


def test_an_export_that_cannot_be_mounted_is_reported_with_docker_s_reason(containers: Containers) -> None:
    name = nfs_volume_name("files", EXPORT, Naming("project", "stack"))
    assert name.startswith("project-stack-files-nfs-")
    code, output = try_folder(containers, containers.volume("export", **nfs_options(EXPORT)))
    assert code == NOT_STARTED
    assert "mount" in output and EXPORT.path in output, "Docker's own words"


def test_a_bucket_is_created_and_nothing_is_left_in_it(containers: Containers, server: S3Server) -> None:
    for _ in ("created", "already there"):
        assert try_bucket(containers, server) == (0, "")
    assert server.objects("dhis2-files") == {}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"key": "AKIANOBODY"}, "InvalidAccessKeyId (fileStoreAccessKey)"),
        ({"secret": "another"}, "SignatureDoesNotMatch (fileStoreSecretKey)"),
        (
            {"bucket": "x"},
            "the server refuses to create the bucket x, which DHIS2 does at each start: InvalidBucketName",
        ),
        ({"url": "http://127.0.0.1:1"}, "connect to server"),
        ({"url": "http://no-such-host.invalid"}, "Could not resolve host"),
    ],
)
def test_what_is_wrong_with_a_bucket_is_named(
    containers: Containers, server: S3Server, wrong: dict[str, str], reason: str
) -> None:
    code, output = try_bucket(containers, server, **wrong)
    assert code == 1 and reason in output
    assert len(output.splitlines()) == 1, "it is in one message"


def test_one_that_was_killed_is_replaced(containers: Containers) -> None:
    left = containers.client.api.create_container(POSTGRES, name=f"{containers.prefix}-trial")["Id"]
    volume = containers.volume("files", type="tmpfs", device="tmpfs", o=f"uid={UID},mode=700")
    assert try_folder(containers, volume)[0] == 0
    assert left not in [container.id for container in containers.client.containers.list(all=True, sparse=True)]
