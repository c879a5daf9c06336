"""Apps of the setting `apps`: what `up` asks DHIS2 for, and what it reports."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.database.api import SCRIPT
from components.database.apps import RECORD, UPLOAD
from tests.support.app_hub import AppHub, app_zip, serve
from tests.support.program import FakeEngine, FakeWatcher, Recorded, Run

Up = Callable[..., list[str]]
HUB = AppHub()
FROM_HUB = HUB.add("From Hub", "1.0.0", "1.1.0")
UNKNOWN = "00000000-0000-4000-8000-000000000000"
APPS, RELOAD = ("core-1", "GET", "/api/apps"), ("core-2", "PUT", "/api/apps")


@dataclass
class Dhis2:
    """A DHIS2 with apps, as the API of one core shows it; `refuses` has statuses and reasons by method and path."""

    apps: dict[str, dict[str, object]] = field(default_factory=dict)
    names_apps: bool = True
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    passwords: set[str] = field(default_factory=set)
    refuses: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    uploaded: list[Sequence[str]] = field(default_factory=list)
    # The version in the manifest of an App Hub's version.
    manifests: dict[str, str] = field(default_factory=dict)
    # What the next upload is.
    next_upload: tuple[str, str] = ("", "")

    def has(self, key: str, version: str, **more: object) -> dict[str, object]:
        self.apps[key] = {"key": key, "version": version, **more}
        return self.apps[key]

    def respond(self, arguments: Sequence[str]) -> str:
        core, _, password, _, method, path, *body = arguments
        self.asked.append((core, method, path))
        self.passwords.add(password)
        status, content = self._answer(method, path, body)
        text = "" if content is None else json.dumps(content)
        return f"HTTP/1.1 {status} \r\nContent-Type: application/json\r\n\r\n{text}" if status else ""

    def _answer(self, method: str, path: str, body: Sequence[str]) -> tuple[int, Any]:
        if (method, path) in self.refuses:
            status, message = self.refuses[method, path]
            return status, {"httpStatusCode": status, "message": message}
        if method == "PUT":
            return 204, None
        if method == "GET" and path == "/api/apps":
            return 200, [*self.apps.values()]
        if method == "GET":
            found = HUB.respond(path.replace("/api/appHub/", "/api/"))
            return (200, json.loads(found)) if found else (404, {"message": "404 Not Found"})
        if path == "/api/apps":
            self.uploaded.append(body)
            app = self.has(*self.next_upload)
        else:
            version = next(item for item in HUB.apps[FROM_HUB]["versions"] if path.endswith(item["id"]))
            number = str(version["version"])
            app = self.has("From-Hub", self.manifests.get(number, number), app_hub_id=FROM_HUB)
        return (201, app) if self.names_apps else (204, None)


@pytest.fixture(autouse=True)
def infos(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is logged for information."""
    logged: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lambda text, *_, **__: logged.append(text))
    return logged


@pytest.fixture
def dhis2() -> Dhis2:
    return Dhis2()


@pytest.fixture
def up(run: Run, dhis2: Dhis2) -> Up:
    """Return a function that runs the program with entries of the setting and returns what it warned about.

    The files of the containers are kept between the runs.
    """
    engine = FakeEngine(respond=dhis2.respond)

    def run_with(*entries: str, **settings: object) -> list[str]:
        dhis2.asked.clear()
        settings = {"cores": 2, "analytics": "false", "version": "2.42", **settings}
        recorded: Recorded = run(watcher=FakeWatcher(engine=engine), apps=json.dumps(entries), **settings)
        assert not any("app" in name for name in recorded.outputs)
        return recorded.warnings

    return run_with


@pytest.mark.parametrize("names_apps", [True, False], ids=["2.42 and later", "2.41 and before"])
def test_an_app_of_the_app_hub_is_installed_once(dhis2: Dhis2, up: Up, infos: list[str], names_apps: bool) -> None:
    dhis2.names_apps = names_apps
    assert up(FROM_HUB) == []
    newest = HUB.apps[FROM_HUB]["versions"][1]["id"]
    hub, post = ("core-1", "GET", f"/api/appHub/v1/apps/{FROM_HUB}"), ("core-1", "POST", f"/api/appHub/{newest}")
    assert dhis2.asked == [APPS, hub, post, APPS, RELOAD]
    assert infos[-1] == f"the app From-Hub 1.1.0 is installed in DHIS2, from {FROM_HUB}"
    assert up(FROM_HUB) == [] and dhis2.asked == [APPS]


def test_another_version_is_installed_where_it_is_asked_for(dhis2: Dhis2, up: Up) -> None:
    up(FROM_HUB)
    assert up(f"{FROM_HUB}@1.0.0") == [] and dhis2.apps["From-Hub"]["version"] == "1.0.0"
    assert up(f"{FROM_HUB}@1.0.0") == [] and dhis2.asked == [APPS]
    assert up(FROM_HUB) == [] and dhis2.asked == [APPS], "without a version, the one that is there is enough"


def test_an_app_that_is_there_stays(dhis2: Dhis2, up: Up) -> None:
    dhis2.has("Renamed", "0.9", app_hub_id=FROM_HUB)
    assert up(FROM_HUB) == [] and dhis2.asked == [APPS]
    assert up(f"{FROM_HUB}@0.9") == [] and dhis2.asked == [APPS]


def test_an_app_that_comes_with_dhis2_is_replaced_once(dhis2: Dhis2, up: Up) -> None:
    dhis2.has("From-Hub", "0.9", app_hub_id=FROM_HUB, bundled=True)
    assert up(FROM_HUB) == [] and dhis2.apps["From-Hub"]["version"] == "1.1.0"
    dhis2.apps["From-Hub"]["bundled"] = True  # DHIS2 marks what has the key of one of its own
    assert up(FROM_HUB) == [] and dhis2.asked == [APPS]


def test_a_version_whose_manifest_has_another_number_is_installed_once(dhis2: Dhis2, up: Up) -> None:
    dhis2.manifests["1.0.0"] = "1.0"
    for asked in (5, 1):
        assert up(f"{FROM_HUB}@1.0.0") == [] and len(dhis2.asked) == asked
    dhis2.has("From-Hub", "1.1.0", app_hub_id=FROM_HUB)
    assert up(f"{FROM_HUB}@1.0.0") == [] and dhis2.apps["From-Hub"]["version"] == "1.0", "someone has updated it"


def test_a_local_file_is_sent_through_docker_and_again_when_it_changes(dhis2: Dhis2, up: Up, tmp_path: Path) -> None:
    path = tmp_path / "own.zip"
    path.write_bytes(app_zip("My App", "1.0"))
    dhis2.next_upload = ("My-App", "1.0")
    assert up(str(path), adminPassword="Correct-Horse-7") == []
    assert dhis2.asked == [APPS, ("core-1", "POST", "/api/apps"), APPS, RELOAD] and dhis2.passwords == {"setting"}
    assert dhis2.uploaded[0][0] == UPLOAD and dhis2.uploaded[0][1].startswith("multipart/form-data; boundary=")
    assert up(str(path)) == [] and dhis2.asked == [APPS]
    path.write_bytes(app_zip("My App", "1.0", "changed"))
    assert up(str(path)) == [] and len(dhis2.uploaded) == 2
    dhis2.has("My-App", "2.0")
    assert up(str(path)) == [] and dhis2.apps["My-App"]["version"] == "1.0", "the file is what was asked for"


def test_a_zip_at_an_address_is_downloaded_once(dhis2: Dhis2, up: Up) -> None:
    with serve("127.0.0.1") as server:
        server.files["/x.zip?key=s3cret"] = app_zip("Linked", "3")
        address = f"{server.address}/x.zip?key=s3cret"
        dhis2.next_upload = ("Linked", "3")
        assert up(address) == [] and up(address) == []
        assert server.asked == ["/x.zip?key=s3cret"] and dhis2.asked == [APPS]
        dhis2.apps.clear()
        server.files.clear()
        (warning,) = up(address, FROM_HUB, f"{server.address}/y.zip?key=s3cret")[:1]
    assert "/x.zip of the setting apps was not installed: it cannot be downloaded: the server answers 404." in warning
    assert "s3cret" not in warning and warning.endswith("To leave it out: pulumi config set --secret apps")
    (warning,) = up(address)
    assert (
        "it cannot be downloaded: ConnectionError. The next pulumi up tries again. To leave it out: pulumi config rm apps"
        in warning
    )


@pytest.mark.parametrize(
    "refusal",
    [
        (UNKNOWN, {}, "the App Hub has no app with this id"),
        (f"{FROM_HUB}@9", {}, "the App Hub has no version 9 of it; its versions: 1.1.0 (DHIS2 2.38 and later)"),
        (
            FROM_HUB,
            {("GET", f"/api/appHub/v1/apps/{FROM_HUB}"): (503, "I/O error on\nGET.")},
            "DHIS2 has no answer from the App Hub: I/O error on GET.",
        ),
        (
            FROM_HUB,
            {("POST", f"/api/appHub/{HUB.apps[FROM_HUB]['versions'][1]['id']}"): (409, "App could not be found")},
            "DHIS2 refuses it: App could not be found.",
        ),
        (
            FROM_HUB,
            {("POST", f"/api/appHub/{HUB.apps[FROM_HUB]['versions'][1]['id']}"): (0, "")},
            "DHIS2 refuses it: it does not answer.",
        ),
    ],
    ids=["no such app", "no such version", "no App Hub", "refused", "silent"],
)
def test_an_app_that_is_refused_is_a_warning_with_the_reason_and_the_others_are_installed(
    dhis2: Dhis2,
    up: Up,
    tmp_path: Path,
    refusal: tuple[str, dict[tuple[str, str], tuple[int, str]], str],
) -> None:
    entry, refuses, reason = refusal
    (tmp_path / "other.zip").write_bytes(app_zip("Other", "1"))
    dhis2.next_upload, dhis2.refuses = ("Other", "1"), refuses
    for _ in range(2):
        (warning,) = up(entry, str(tmp_path / "other.zip"))
        assert f"the app {entry} of the setting apps was not installed: {reason}" in warning
        assert warning.endswith(f"To leave it out: pulumi config set apps '[\"{tmp_path / 'other.zip'}\"]'")
    assert "Other" in dhis2.apps and len(dhis2.uploaded) == 1


def test_an_app_hub_that_does_not_answer_is_asked_once(dhis2: Dhis2, up: Up) -> None:
    dhis2.refuses["GET", f"/api/appHub/v1/apps/{FROM_HUB}"] = (0, "")
    assert len(up(FROM_HUB, UNKNOWN)) == 2
    assert len(dhis2.asked) == 2, "each request would wait for its time limit"


def test_cores_that_were_not_reached_read_the_apps_in_the_next_up(dhis2: Dhis2, up: Up) -> None:
    dhis2.refuses["PUT", "/api/apps"] = (500, "Internal")
    (warning,) = up(FROM_HUB)
    assert "core-2 has not read the apps that were installed: Internal." in warning
    assert "dhis2-cluster restart core-2 -s test" in warning
    dhis2.refuses.clear()
    assert up(FROM_HUB) == [] and dhis2.asked == [APPS, RELOAD]
    assert up(FROM_HUB) == [] and dhis2.asked == [APPS]


def test_two_entries_for_one_app_are_a_warning(dhis2: Dhis2, up: Up, tmp_path: Path) -> None:
    (tmp_path / "same.zip").write_bytes(app_zip("From Hub", "7"))
    (warning,) = up(FROM_HUB, str(tmp_path / "same.zip"))
    assert f"it is the app From-Hub, which {FROM_HUB} of the setting is, too" in warning and dhis2.uploaded == []


def test_a_dhis2_that_lists_no_apps_is_one_warning(dhis2: Dhis2, up: Up) -> None:
    dhis2.refuses["GET", "/api/apps"] = (401, "Unauthorized")
    (warning,) = up(FROM_HUB, UNKNOWN)
    assert "could not be compared with those of DHIS2: Unauthorized." in warning and dhis2.asked == [APPS]


def test_a_record_that_cannot_be_read_installs_nothing_again_that_is_there(run: Run, dhis2: Dhis2) -> None:
    dhis2.has("From-Hub", "1.1.0", app_hub_id=FROM_HUB)
    engine = FakeEngine(respond=dhis2.respond, files={**FakeEngine().files, ("core-1", RECORD): "{"})
    assert run(watcher=FakeWatcher(engine=engine), apps=FROM_HUB, analytics="false").warnings == []
    assert dhis2.asked == [APPS]


def test_without_the_password_of_admin_the_ways_are_named(run: Run, dhis2: Dhis2) -> None:
    engine = FakeEngine(respond=dhis2.respond, admin_has="unknown")
    (warning,) = run(watcher=FakeWatcher(engine=engine), apps=FROM_HUB, analytics="false").warnings
    assert "does not know the password of DHIS2's user admin. To set one: pulumi config set --secret" in warning
    assert dhis2.asked == []


def test_nothing_is_asked_for_without_the_setting_and_in_a_preview(run: Run, dhis2: Dhis2) -> None:
    engine = FakeEngine(respond=dhis2.respond)
    run(watcher=FakeWatcher(engine=engine))
    run(watcher=FakeWatcher(engine=engine), apps=FROM_HUB, preview=True)
    assert not [command for command in engine.executed if SCRIPT in command]


def test_the_setting_changes_no_resource(built: Run) -> None:
    before, after = (
        sorted((item.kind, item.name, json.dumps(item.raw)) for item in recorded.resources)
        for recorded in (built(), built(apps=FROM_HUB))
    )
    assert before == after
