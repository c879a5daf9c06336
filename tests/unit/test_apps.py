"""Zip files with apps, and which of the App Hub's versions is installed."""

import io
import zipfile

import pytest

from components.dhis2.apps import AppError, app_key, choose_version, parse_entry, read_zip, setting_of
from components.dhis2.version import parse_version
from tests.support.app_hub import app_zip
from tests.unit.test_settings import APP


def version(number: str, oldest: str = "2.38", newest: str = "", channel: str = "stable") -> dict[str, str]:
    return {"version": number, "minDhisVersion": oldest, "maxDhisVersion": newest, "channel": channel}


@pytest.mark.parametrize(
    ("offered", "release", "chosen"),
    [
        ([version("1.9.0"), version("1.10.0"), version("1.2.0")], "2.42", "1.10.0"),
        ([version("1.0.0"), version("1.1.0-beta.2"), version("1.1.0-beta.10")], "2.42", "1.1.0-beta.10"),
        ([version("1.1.0"), version("1.1.0-rc.1")], "2.42", "1.1.0"),
        ([version("1.0.0"), version("2.0.0", channel="development")], "2.42", "1.0.0"),
        ([version("1.0.0"), version("2.0.0", oldest="2.43")], "2.42", "1.0.0"),
        ([version("1.0.0"), version("2.0.0", oldest="2.42.3")], "2.42.2", "1.0.0"),
        ([version("1.0.0"), version("2.0.0", oldest="2.42.3")], "2.42.3.1", "2.0.0"),
        ([version("1.0.0"), version("2.0.0", newest="2.41")], "2.42", "1.0.0"),
        ([version("1.0.0"), version("2.0.0", newest="2.42")], "2.42.5", "2.0.0"),
        ([version("1.0.0"), version("2.0.0", newest="2.42.0")], "2.42.5", "2.0.0"),
        ([version("1.0.0"), version("2.0.0", newest="2.42.4")], "2.42.5", "1.0.0"),
        ([version("1.0.0"), version("2.0.0", newest="2.43")], "dev", "1.0.0"),
        ([version("1.0.0"), version("2.0.0", oldest="2.43")], "dev", "2.0.0"),
        ([version("1.0.0", oldest="43")], "43.1", "1.0.0"),
    ],
)
def test_the_newest_stable_version_for_the_release_is_chosen(
    offered: list[dict[str, str]], release: str, chosen: str
) -> None:
    assert choose_version(offered, None, parse_version(release))["version"] == chosen


def test_a_version_that_is_asked_for_is_chosen_whatever_it_is_for() -> None:
    offered = [version("2.0.0"), version("1.0.0", oldest="2.99", channel="development")]
    assert choose_version(offered, "1.0.0", parse_version("2.42"))["version"] == "1.0.0"


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (
            "3",
            "the App Hub has no version 3 of it; its versions: 2.0.0 (DHIS2 2.43 and later), 1.0.0 (DHIS2 2.38 to 2.41)",
        ),
        (None, "the App Hub has no stable version of it for DHIS2 2.42; its versions: 2.0.0 (DHIS2 2.43 and later)"),
    ],
)
def test_a_version_that_is_not_there_is_an_error_with_those_that_are(wanted: str | None, reason: str) -> None:
    with pytest.raises(AppError) as raised:
        choose_version(
            [version("1.0.0", newest="2.41"), version("2.0.0", oldest="2.43")], wanted, parse_version("2.42")
        )
    assert str(raised.value).startswith(reason)


@pytest.mark.parametrize("folder", ["", "build/"])
def test_an_app_is_read_from_its_manifest(folder: str) -> None:
    app = read_zip(app_zip("My (Own) App ", "1.0", folder=folder))
    assert (app.key, app.version) == ("My-Own-App", "1.0"), "as DHIS2 names it"
    assert read_zip(app_zip("Name", "1.0", short_name="Short")).key == "Short"
    assert app.digest != read_zip(app_zip("My (Own) App ", "1.0", "changed")).digest


def _zipped(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>", "is not a zip file that can be read"),
        (app_zip("App", "1")[:-30], "is not a zip file that can be read"),
        (_zipped(), "is no DHIS2 app: the zip file has no manifest.webapp"),
        (_zipped(index="x"), "is no DHIS2 app: the zip file has no manifest.webapp"),
        (_zipped(**{"manifest.webapp": "{"}), "is no DHIS2 app: its manifest.webapp is not JSON"),
        (_zipped(**{"manifest.webapp": "[]"}), "is no DHIS2 app: its manifest.webapp has no name or no version"),
        (_zipped(**{"manifest.webapp": '{"name": "x"}'}), "is no DHIS2 app: its manifest.webapp has no name or"),
    ],
)
def test_what_is_no_app_is_an_error_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(AppError, match=reason):
        read_zip(content)


def test_the_key_of_an_app_is_that_of_dhis2() -> None:
    assert app_key("  Line  Listing & more\t(é) ") == "Line-Listing-more-"


def test_an_entry_is_named_without_login() -> None:
    assert parse_entry("https://me:word@example.org/x.zip?token=t").name == "https://example.org/x.zip"
    assert "word" not in repr(parse_entry("https://me:word@example.org/x.zip?token=t"))
    assert parse_entry(f"{APP.upper()}@1.0").name == f"{APP}@1.0"
    assert setting_of([APP, "https://me:word@example.org/x.zip"]) is None
