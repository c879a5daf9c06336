"""The setting fileStore: what is registered, what dhis.conf has, and the trial before a core changes."""

import json

import pulumi
import pytest

from components.file_store.file_store import CURL, EMPTY, UID
from tests.support.program import (
    CONTAINER,
    PREFIX,
    VOLUME,
    FakeEngine,
    FakeWatcher,
    Recorded,
    Registered,
    Run,
    visible,
)
from tests.unit.java_properties import load

CONF = "/opt/dhis2/dhis.conf"
KEYS = {"fileStoreAccessKey": "an-access-key", "fileStoreSecretKey": 'a"secret\\key'}
S3 = {"fileStore": "s3://dhis2-files?endpoint=https://s3.example.org", **KEYS}
AWS = {"fileStore": "s3://dhis2-files?region=eu-north-1", **KEYS}
NFS = {"fileStore": "nfs://nfs.example.org/srv/dhis2"}


def registrations(recorded: Recorded) -> dict[tuple[str, str], tuple[str, list[str], str]]:
    """Return what the Pulumi engine is asked for: inputs, dependencies and parent, by kind and name."""
    return {
        (item.kind, item.name): (
            json.dumps(dict(item.raw), sort_keys=True),
            sorted(item.request.dependencies),
            item.request.parent,
        )
        for item in recorded.resources
        if item.kind != "pulumi:pulumi:Stack"
    }


def volumes(recorded: Recorded) -> dict[str, Registered]:
    return {item.name: item for item in recorded.of(VOLUME)}


def mounts(recorded: Recorded, container: str) -> dict[str, tuple[str, bool]]:
    """Return the volumes of a container by path, and whether what the image has there is copied into them."""
    entries = recorded.container(container).inputs.get("mounts", [])
    return {
        entry["target"]: (entry["source"], not entry.get("volumeOptions", {}).get("noCopy", False)) for entry in entries
    }


def filestore(recorded: Recorded, core: str = "core-1") -> dict[str, str]:
    conf = load(recorded.container(core).files[CONF])
    return {key.removeprefix("filestore."): value for key, value in conf.items() if key.startswith("filestore.")}


def failing(reason: str, code: int = 1) -> Recorded:
    return Recorded(watcher=FakeWatcher(engine=FakeEngine(short_lived=(code, reason))))


def test_the_volume_is_the_default_and_is_not_tried(built: Run) -> None:
    default, named = built(cores=2), built(cores=2, fileStore="volume")
    assert registrations(default) == registrations(named)
    assert mounts(default, "core-2") == {
        "/opt/dhis2/files": (f"{PREFIX}-files", True),
        "/var/tmp": (f"{PREFIX}-files", True),  # noqa: S108
    }
    assert filestore(default) == {"provider": "filesystem"}
    assert default.watcher.engine.created == [], "it cannot be wrong"


@pytest.mark.parametrize("settings", [S3, NFS], ids=["S3", "NFS"])
def test_another_file_store_changes_the_cores_and_no_other_part(built: Run, settings: dict[str, str]) -> None:
    before, after = registrations(built(cores=2)), registrations(built(cores=2, **settings))
    changed = {name for kind, name in before if before[kind, name][0] != after[kind, name][0]}
    assert changed == {"core-1", "core-2"}, "the volume stays too: its files are to be moved, or the setting is invalid"


def test_all_cores_keep_files_in_the_bucket(built: Run) -> None:
    recorded = built(cores=2, **S3)
    expected = {
        "provider": "s3",
        "container": "dhis2-files",
        "location": "us-east-1",
        "endpoint": "https://s3.example.org",
        "identity": KEYS["fileStoreAccessKey"],
        "secret": KEYS["fileStoreSecretKey"],
    }
    for core in ("core-1", "core-2"):
        assert filestore(recorded, core) == expected
        assert not mounts(recorded, core)
    shown = " ".join(visible(dict(item.raw)) for item in recorded.resources)
    assert not any(key in shown for key in KEYS.values()), "they are secrets"
    environments = str([item.environment for item in recorded.of(CONTAINER)])
    assert not any(key in environments for key in KEYS.values()), "everyone who may ask Docker Engine sees these"


@pytest.mark.parametrize(
    ("version", "region", "location"),
    [
        ("2.43.1", "", "us-standard"),
        ("2.43.1", "us-east-1", "us-standard"),
        ("2.38.5", "eu-north-1", "eu-north-1"),
        ("2.44.0", "", "us-east-1"),
        ("dev", "us-east-1", "us-east-1"),
    ],
)
def test_a_bucket_of_aws_has_the_region_as_the_release_names_it(
    built: Run, version: str, region: str, location: str
) -> None:
    address = f"s3://dhis2-files?region={region}" if region else "s3://dhis2-files"
    found = filestore(built(version=version, **KEYS, fileStore=address))
    assert (found["provider"], found["location"]) == ("aws-s3", location)
    assert "endpoint" not in found


def test_all_cores_mount_the_export(built: Run) -> None:
    recorded = built(cores=2, **NFS)
    (name,) = (name for name in volumes(recorded) if name.startswith("files-nfs-"))
    volume = volumes(recorded)[name]
    assert volume.inputs["driverOpts"] == {
        "type": "nfs",
        "o": "addr=nfs.example.org,rw,nfsvers=4",
        "device": ":/srv/dhis2",
    }
    assert volume.inputs["name"] == f"{PREFIX}-{name}"
    for core in ("core-1", "core-2"):
        (path, (_, copied)), *others = mounts(recorded, core).items()
        assert (path, copied, others) == ("/opt/dhis2/files", False, []), "the server lets no root write"
        assert name in recorded.container(core).needs
    assert filestore(recorded) == {"provider": "filesystem"}


def test_another_export_is_another_volume(built: Run) -> None:
    one, two = (
        {name for name in volumes(built(fileStore=f"nfs://nfs.example.org/{folder}")) if "nfs" in name}
        for folder in ("one", "two")
    )
    assert one.isdisjoint(two), "one volume would be deleted before the other is tried"


def test_an_export_is_tried_as_the_user_of_the_cores_in_every_up(built: Run) -> None:
    (trial,) = built(cores=2, **NFS).watcher.engine.created
    assert trial.removed
    options = trial.options
    assert options["user"] == f"{UID}:{UID}" and options["image"] == "sha256:core-image"
    assert (options["network"], options["cap_drop"]) == ("none", ["ALL"])
    assert [(mount["Target"], mount["VolumeOptions"]) for mount in options["mounts"]] == [
        ("/files", {"NoCopy": True}),
        ("/volume", {"NoCopy": True}),
    ]
    assert "mktemp /files/" in options["entrypoint"][-1] and "rm" in options["entrypoint"][-1]


def test_a_bucket_is_tried_with_its_keys_in_a_file(built: Run) -> None:
    (trial,) = built(**AWS).watcher.engine.created
    options = trial.options
    assert trial.removed and options["network"] == "app-id", "the way the cores go"
    assert options["environment"] == {
        "BUCKET_URL": "https://s3.eu-north-1.amazonaws.com/dhis2-files",
        "BUCKET": "dhis2-files",
        "LOCATION": "eu-north-1",
        "OLD_FOLDER": "/volume",
        "EMPTY": EMPTY,
    }
    assert trial.files[CURL] == 'user = "an-access-key:a\\"secret\\\\key"\naws-sigv4 = "aws:amz:eu-north-1:s3"\n'


def test_a_preview_tries_nothing(run: Run) -> None:
    assert run(preview=True, **S3).watcher.engine.created == []


@pytest.mark.parametrize(
    ("settings", "code", "reason", "advice"),
    [
        (NFS, -1, "failed to mount local volume: no such device", "the server exports /srv/dhis2 over NFS 4"),
        (NFS, 1, "mktemp: Permission denied", "chown -R 65534:65534 /srv/dhis2 on the server"),
        (S3, 1, "the server refuses to create the bucket", "pulumi config set --secret fileStoreSecretKey"),
    ],
)
def test_no_core_is_registered_where_the_trial_fails(
    run: Run, settings: dict[str, str], code: int, reason: str, advice: str
) -> None:
    recorded = failing(reason, code)
    with pytest.raises(pulumi.RunError) as raised:
        run(into=recorded, cores=2, **settings)
    text = str(raised.value)
    assert reason in text and advice in text and "No core was changed" in text
    place = "nfs.example.org" if settings is NFS else "s3://dhis2-files of https://s3.example.org"
    assert place in text
    assert not any(key in text for key in KEYS.values())
    registered = {item.name for item in recorded.resources}
    assert not {"core-1", "core-2"} & registered, "the Pulumi engine would delete the old ones first"
    deleting = {"core-replacement", "database-password", "cache-password"}
    assert not deleting & registered, "cores are deleted before these are replaced"


@pytest.mark.parametrize("settings", [S3, NFS], ids=["S3", "NFS"])
def test_files_that_dhis2_would_not_find_are_warned_of(run: Run, settings: dict[str, str]) -> None:
    warned = [
        any("dhis2-cluster move-files" in warning for warning in run(watcher=watcher, **settings).warnings)
        for watcher in (failing(EMPTY, 0).watcher, failing("", 0).watcher)
    ]
    assert warned == [True, False]


@pytest.mark.parametrize(("version", "first"), [("2.38.5", "2.39.6"), ("2.39.5", "2.39.6"), ("2.40.4", "2.40.5")])
def test_a_release_that_knows_no_endpoint_is_refused(run: Run, version: str, first: str) -> None:
    recorded = Recorded()
    with pytest.raises(pulumi.RunError, match=f"the first release that uses one is {first}"):
        run(into=recorded, version=version, **S3)
    assert {item.kind for item in recorded.resources} <= {"pulumi:pulumi:Stack"}, "it is refused before anything else"
    assert filestore(run(version=version, **AWS))["provider"] == "aws-s3", "AWS needs no endpoint"


@pytest.mark.parametrize("version", ["2.39.6", "2.40.5", "2.41.0", "2.43.1", "dev"])
def test_later_releases_use_the_endpoint(built: Run, version: str) -> None:
    assert filestore(built(version=version, **S3))["endpoint"] == "https://s3.example.org"


def test_a_bucket_is_in_no_backup_and_an_export_is(built: Run) -> None:
    of_bucket = built(backupSchedule="manual", **S3)
    assert "/files" not in mounts(of_bucket, "backup")
    assert of_bucket.container("backup").environment["BUCKET"] == "dhis2-files"
    of_export = built(backupSchedule="manual", **NFS)
    source, copied = mounts(of_export, "backup")["/files"]
    assert "files-nfs-" in source and not copied
    assert "BUCKET" not in of_export.container("backup").environment
    default = built(backupSchedule="manual")
    assert mounts(default, "backup")["/files"] == (f"{PREFIX}-files", True)
    assert "BUCKET" not in default.container("backup").environment


def test_keys_without_a_bucket_are_warned_of(built: Run) -> None:
    warnings = built(**KEYS).warnings
    assert sum("has no effect, since fileStore is not on S3" in warning for warning in warnings) == 2
