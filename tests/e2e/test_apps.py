"""Apps of the setting `apps`: DHIS2 has them after `up`, at every core, and keeps what it has. Steps in their order."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import MakeStack
from tests.support.app_hub import AppHub, app_zip, serve
from tests.support.http import ask_inside
from tests.support.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.scenario, pytest.mark.simulator]

BASIC = ("-u", "admin:district")
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def hub(gateway: str) -> Iterator[AppHub]:
    """Serve an App Hub where containers and this machine reach it."""
    with serve(gateway) as hub:
        yield hub


@pytest.fixture(scope="module")
def ids(hub: AppHub) -> dict[str, str]:
    """Return the ids of the App Hub's apps by their names."""
    newest = hub.add("Newest", "1.9.0", "1.10.0", oldest="2.40")
    hub.apps[newest]["versions"] += [{"id": UNKNOWN, "version": "2.0.0", "channel": "stable", "minDhisVersion": "2.99"}]
    return {"newest": newest, "pinned": hub.add("Pinned", "1.0.0", "1.1.0", has_id=False)}


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack, hub: AppHub, ids: dict[str, str]) -> Stack:
    """Initialise a stack of two cores, with an app in each form and two that cannot be installed."""
    stack = make_stack(cores=2, replicas=0, dumpUrl="none", dhisConf={"apphub.api.url": f"{hub.address}/api"})
    (stack.folder / "own.zip").write_bytes(app_zip("My Own App", "0.1", "first", folder="own/"))
    hub.files["/linked.zip"] = app_zip("Linked", "3")
    apply(stack, ids["newest"], f"{ids['pinned']}@1.0.0", "own.zip", f"{hub.address}/linked.zip", UNKNOWN)
    return stack


def apply(stack: Stack, *entries: str) -> None:
    stack.set(apps=json.dumps(entries))


def page(stack: Stack, core: str, key: str) -> str:
    """Return the page of an app at a core."""
    return ask_inside(stack.container(core), f"/api/apps/{key}/index.html", *BASIC).text


def pages(stack: Stack, *keys: str) -> list[str]:
    """Return the pages of apps; every core has the same."""
    first, second = ([page(stack, core, key) for key in keys] for core in ("core-1", "core-2"))
    assert first == second, "users are at any core"
    return first


def reloads(stack: Stack, core: str) -> int:
    """Return how often a core has read the file store."""
    return len(re.findall(r"Loaded \d+ apps", stack.log(core)))


def test_dhis2_has_the_apps_after_up_and_what_cannot_be_installed_is_named(stack: Stack) -> None:
    text = stack.up()
    assert pages(stack, "Newest", "Pinned", "My-Own-App", "Linked") == ["1.10.0", "1.0.0", "first", "3"]
    assert reloads(stack, "core-2") == 2, "at its start, and once for all apps"
    assert f"the app {UNKNOWN} of the setting apps was not installed: the App Hub has no app with this id" in text
    assert "To leave it out: pulumi config set apps '[" in text


def test_another_up_asks_for_nothing_that_is_there(stack: Stack, hub: AppHub, ids: dict[str, str]) -> None:
    apply(stack, ids["newest"], f"{ids['pinned']}@1.0.0", "own.zip", f"{hub.address}/linked.zip")
    hub.asked.clear()
    containers = stack.containers()
    text = stack.up()
    assert "of the setting apps" not in text and "is installed in DHIS2" not in text
    assert hub.asked == [] and reloads(stack, "core-2") == 2
    assert stack.changes() == {} and stack.containers() == containers


def test_a_change_of_an_entry_changes_that_app_alone(stack: Stack, hub: AppHub, ids: dict[str, str]) -> None:
    containers = stack.containers()
    (stack.folder / "own.zip").write_bytes(app_zip("My Own App", "0.1", "second"))
    apply(stack, ids["newest"], f"{ids['pinned']}@1.1.0", "own.zip")
    installed = re.findall(r"the app (\S+ \S+) is installed in DHIS2", stack.up())
    assert set(installed) == {"Pinned 1.1.0", "My-Own-App 0.1"}
    assert pages(stack, "Newest", "Pinned", "My-Own-App", "Linked") == ["1.10.0", "1.1.0", "second", "3"]
    assert stack.containers() == containers, "no container is replaced for an app"


def test_what_dhis2_and_the_app_hub_refuse_is_a_warning_on_each_up(
    stack: Stack, hub: AppHub, ids: dict[str, str]
) -> None:
    (stack.folder / "taken.zip").write_bytes(app_zip("Taken", "1", activities={"dhis": {"namespace": "mine"}}))
    (stack.folder / "second.zip").write_bytes(app_zip("Second", "1", activities={"dhis": {"namespace": "mine"}}))
    apply(stack, "taken.zip", "second.zip", f"{ids['newest']}@7", f"{hub.address}/none.zip")
    for _ in range(2):
        text = stack.up()
        assert (
            "the app second.zip of the setting apps was not installed: DHIS2 refuses it: Namespace defined in" in text
        )
        assert f"the app {ids['newest']}@7 of the setting apps was not installed: the App Hub has no version 7" in text
        assert "1.10.0 (DHIS2 2.40 and later)" in text, "those it has"
        assert "none.zip of the setting apps was not installed: it cannot be downloaded: the server answers 404" in text
        assert "the app taken.zip of the setting apps" not in text


def test_apps_are_there_after_the_files_are_lost(stack: Stack) -> None:
    apply(stack, "own.zip")
    stack.inside("core-1", "sh", "-c", "rm -rf /opt/dhis2/files/apps /opt/dhis2/files/.dhis2-cluster-apps")
    for core in ("core-1", "core-2"):
        stack.container(core).restart()
        stack.wait_healthy(core)
    assert page(stack, "core-2", "My-Own-App") != "second"
    assert "is installed in DHIS2, from own.zip" in stack.up()
    assert pages(stack, "My-Own-App") == ["second"]


def test_destroy_leaves_nothing(stack: Stack) -> None:
    stack.destroy()
    assert stack.leftovers() == []
