"""The setting fileStore: its forms, and what they name."""

import pytest

from components.settings.file_store import Bucket, NfsExport, Place
from components.settings.model import Settings
from components.settings.parsing import parse_settings

KEYS = {"fileStoreAccessKey": "key", "fileStoreSecretKey": "secret"}


def settings(file_store: str) -> Settings:
    return parse_settings({"fileStore": file_store, **(KEYS if file_store.startswith("s3") else {})})


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("volume", None),
        ("nfs://nfs.example.org/srv/dhis2", NfsExport("nfs.example.org", "/srv/dhis2")),
        ("nfs://10.0.0.5/srv/dhis2/", NfsExport("10.0.0.5", "/srv/dhis2")),
        ("nfs://[fd00::5]/srv", NfsExport("fd00::5", "/srv")),
        ("s3://dhis2-files", Bucket("dhis2-files")),
        ("s3://a.b--c?region=eu-north-1", Bucket("a.b--c", "", "eu-north-1")),
        ("s3://files?endpoint=https://S3.example.org:9000/", Bucket("files", "https://S3.example.org:9000")),
        ("s3://files?endpoint=http%3A%2F%2F[fd00::5]:9000", Bucket("files", "http://[fd00::5]:9000")),
        ("s3://files?region=default&endpoint=https://x", Bucket("files", "https://x", "default")),
        ("s3://files?endpoint=", Bucket("files")),
    ],
)
def test_a_form_names_a_place(written: str, place: Place) -> None:
    assert settings(written).files_place == place
    again = settings(written).file_store
    assert settings(again).file_store == again, "one form"


@pytest.mark.parametrize(
    ("written", "server"),
    [
        ("s3://files", "https://s3.us-east-1.amazonaws.com"),
        ("s3://files?region=eu-north-1", "https://s3.eu-north-1.amazonaws.com"),
        ("s3://files?region=cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn"),
        ("s3://files?endpoint=https://s3.example.org&region=x", "https://s3.example.org"),
    ],
)
def test_a_bucket_has_a_server(written: str, server: str) -> None:
    place = settings(written).files_place
    assert isinstance(place, Bucket) and place.server == server


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("nfs://[fd00::5]/srv", "nfs://[fd00::5]/srv"),
        ("s3://files", "s3://files of AWS in us-east-1"),
        ("s3://files?endpoint=https://x", "s3://files of https://x"),
    ],
)
def test_messages_name_it(written: str, shown: str) -> None:
    assert str(settings(written).files_place) == shown
