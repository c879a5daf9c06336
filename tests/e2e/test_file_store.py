"""Files in a bucket and on NFS: shared by all cores, tried before a core changes, moved from and to the volume."""

import json
import uuid
from collections.abc import Iterator

import pytest

from cli.errors import NOT_RUN
from tests.e2e.conftest import MakeStack
from tests.support.s3 import S3Server, s3_server
from tests.support.stack import ADMIN, Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.simulator]

BUCKET = "dhis2-files"
SIMULATOR = "dhis2-cluster/dhis2-simulator"
SHOWN = 2  # by the program, and in the diagnostics at the end
kept: dict[str, str] = {}  # content by the id of its upload
rotated: list[S3Server] = []  # with the key that is in force


@pytest.fixture(scope="module")
def server(gateway: str) -> Iterator[S3Server]:
    """Run an S3 server without buckets."""
    with s3_server(gateway) as server:
        yield server


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    """Deploy a core that has its files in the volume, with one that was uploaded."""
    stack = make_stack(cores=1, replicas=0, dumpUrl="none", backupSchedule="manual", image=f"{SIMULATOR}:2.42.5")
    stack.up()
    upload(stack, "core-1")
    return stack


def ask(stack: Stack, core: str, path: str, *options: str) -> str:
    """Return what one core answers."""
    login = ":".join(ADMIN)
    return stack.inside(core, "curl", "-sf", "-u", login, *options, f"http://localhost:8080{path}")


def upload(stack: Stack, core: str) -> str:
    """Upload a file through a core and return its id once it is stored."""
    content = f"uploaded {uuid.uuid4().hex}"
    form = "file=@-;filename=note.txt;type=text/plain"
    command = (
        f"printf '%s' '{content}' | curl -sf -u {':'.join(ADMIN)} -F '{form}' http://localhost:8080/api/fileResources"
    )
    answer = json.loads(stack.inside(core, "sh", "-c", command))
    name = str(answer["response"]["fileResource"]["id"])
    stored = f"/api/fileResources/{name}"
    until(lambda: json.loads(ask(stack, core, stored))["storageStatus"] == "STORED", "the upload to be stored")
    kept[name] = content
    return name


def assert_kept(stack: Stack) -> None:
    """Every core returns every file that was uploaded."""
    for core in cores(stack):
        assert {name: ask(stack, core, f"/api/fileResources/{name}/data") for name in kept} == kept, core


def cores(stack: Stack) -> dict[str, str]:
    """Return the ids of the containers of the cores by their names."""
    return {part: identity for part, identity in stack.containers().items() if part.startswith("core-")}


def test_an_export_that_cannot_be_mounted_costs_nothing(stack: Stack) -> None:
    before = cores(stack)
    stack.set(fileStore="nfs://127.0.0.1/srv/no-such-export")
    text = stack.failing_up()
    assert "the NFS export /srv/no-such-export of 127.0.0.1 cannot be used as fileStore" in text
    assert "mount" in text and "No core was changed" in text, "Docker's reason"
    assert text.count("No core was changed") <= SHOWN and "Traceback" not in text, "for people"
    assert cores(stack) == before
    assert_kept(stack)


def test_a_wrong_key_costs_nothing(stack: Stack, server: S3Server) -> None:
    before = cores(stack)
    stack.set(fileStore=f"s3://{BUCKET}?endpoint={server.url}")
    stack.set_secret(fileStoreAccessKey=server.access_key, fileStoreSecretKey="another")
    text = stack.failing_up()
    assert "SignatureDoesNotMatch (fileStoreSecretKey)" in text and server.url in text
    assert cores(stack) == before and not server.buckets()
    assert_kept(stack)


def test_the_files_are_moved_into_the_bucket(stack: Stack, server: S3Server) -> None:
    stack.set_secret(**server.settings)
    done = stack.command("move-files", "--yes", "--json")
    assert done.code == 0, done.text
    moved = json.loads(done.stdout)
    assert moved["from"].endswith("-files") and moved["to"].startswith(f"s3://{BUCKET}")
    assert server.secret_key not in done.text
    assert {content.decode() for content in server.objects(BUCKET).values()} == {*kept.values()}
    assert_kept(stack)
    assert "files-nfs" not in str(stack.leftovers()), "the volume of the export that was refused"


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    refreshed = stack.pulumi("preview", "--refresh", "--expect-no-changes", "--stack", stack.name)
    assert refreshed.code == 0, refreshed.text


def test_a_new_core_another_version_and_another_key_have_the_files(stack: Stack, server: S3Server) -> None:
    new = server.add_key()
    stack.set_secret(**new.settings)
    stack.set(cores=2, image=f"{SIMULATOR}:2.43.1")
    stack.up()
    server.remove_key()
    rotated.append(new)
    assert set(cores(stack)) == {"core-1", "core-2"}
    assert_kept(stack)


def test_what_one_core_stores_the_others_return(stack: Stack) -> None:
    before = len(rotated[-1].objects(BUCKET))
    upload(stack, "core-1")
    upload(stack, "core-2")
    assert len(rotated[-1].objects(BUCKET)) == before + 2
    assert_kept(stack)
    with stack.client(auth=ADMIN) as client:
        assert client.get("/api/system/info").json()["fileStoreProvider"] == "s3"


def test_a_backup_leaves_the_bucket_out_and_says_so(stack: Stack) -> None:
    done = stack.command("backup")
    assert done.code == 0 and f"are in the bucket {BUCKET}, and not in it" in done.stdout, done.text
    (made,) = json.loads(stack.command("backups", "--json").stdout)
    assert made["bucket"] == BUCKET
    refused = stack.command("restore", "--files-only", "--yes")
    assert refused.code == NOT_RUN and f"the backup {made['set']} has none, they were in the bucket" in refused.text


def test_the_files_are_moved_back_into_the_volume(stack: Stack) -> None:
    stack.set(fileStore="volume")
    done = stack.command("move-files", "--yes")
    assert done.code == 0, done.text
    rotated[-1].remove_key()
    assert_kept(stack)
    assert "filestore.provider = filesystem" in stack.inside("core-2", "cat", "/opt/dhis2/dhis.conf")
