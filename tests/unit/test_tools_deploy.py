"""What `make up` and `make down` build and report: only what the stack needs, and only hints that help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tools import debian, deploy, environment
from tools.choices import Stack
from tools.deploy import Session
from tools.foreign_containers import in_networks, in_volumes

LABEL = "dhis2-cluster.stack=dhis2-cluster-dev"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session of the stack `mine`, with a pulumi on PATH."""
    monkeypatch.setattr(environment, "complete", lambda given, _: dict(given))
    monkeypatch.setattr(deploy.shutil, "which", lambda *_, **__: "/bin/pulumi")  # type: ignore[attr-defined]
    session = Session({"PATH": "/bin"})
    session.stack = Stack(name="mine", why="selected before")
    return session


HINTS = {
    "no registry": ("mine", {"mine": "no such host", "dev": "no such host"}, "copy them into Pulumi.mine.yaml"),
    "no registry for dev": ("dev", {"dev": "no such host"}, "make up OFFLINE=always"),
    "a registry without this image": ("mine", {"mine": "manifest unknown"}, ""),
    "images are here": ("mine", dict[str, str](), ""),
}


@pytest.mark.parametrize("case", HINTS)
def test_the_stack_file_of_built_images_is_named_only_where_no_registry_can_be_reached(
    session: Session, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack, missing, hint = HINTS[case]
    session.stack = Stack(name=stack, why="")
    monkeypatch.setattr(Session, "_unavailable", lambda _, name: {"nginx:1": missing[name]} if name in missing else {})
    session._explain()
    printed = capsys.readouterr().out
    assert hint in printed
    assert ("nginx:1 cannot be pulled" in printed) == bool(hint), "the program's own message names the image already"


def test_only_what_a_stack_names_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: dict[str, Any] = {}
    needed: list[object] = []
    monkeypatch.setattr(deploy, "together", jobs.update)
    monkeypatch.setattr(debian, "need", lambda commands, _: needed.append(commands))
    deploy.build({}, [], sample_dump=False)
    assert jobs == {}, "a stack of pulled images waits for nothing"
    deploy.build({}, ["dhis2-cluster/nginx:1.31"], sample_dump=False)
    assert jobs["images"].args[1][2:] == ["offline.images", "dhis2-cluster/nginx:1.31"]
    assert needed == [], "Maven builds the simulator only"
    deploy.build({}, ["dhis2-cluster/dhis2-simulator:2.43.1"], sample_dump=False)
    assert needed == [{"mvn": "maven"}]


@dataclass
class Item:
    """A container, network or volume as the SDK shows it."""

    name: str
    id: str = ""
    attrs: dict[str, Any] = field(default_factory=dict)

    def reload(self) -> None:
        """Do nothing: `attrs` are complete."""


class Listing:
    """One of the SDK's collections."""

    def __init__(self, found: dict[str, list[Item]]) -> None:
        self.found = found

    def list(self, filters: dict[str, str], **_: object) -> list[Item]:
        (key,) = (f"{name}={value}" for name, value in filters.items())
        return self.found.get(key, [])


class Client:
    """A Docker Engine with a stack's network and volume, used by the stack and by `guest`."""

    def __init__(self) -> None:
        own, guest = Item("dhis2-cluster-dev-lb", "1"), Item("guest", "2")
        connected = {"1": {"Name": own.name}, "2": {"Name": guest.name}}
        self.containers = Listing({f"label={LABEL}": [own], "volume=data": [own, guest]})
        self.networks = Listing({f"label={LABEL}": [Item("app", attrs={"Containers": connected})]})
        self.volumes = Listing({f"label={LABEL}": [Item("data")]})


def test_foreign_containers_are_named_with_the_command_that_frees_what_they_use() -> None:
    client: Any = Client()
    assert [*in_networks(client, "dhis2-cluster-dev"), *in_volumes(client, "dhis2-cluster-dev")] == [
        "container guest keeps network app from being removed. Fix: docker network disconnect --force app guest",
        "container guest keeps volume data from being removed. Fix: docker rm --force guest",
    ], "the stack's own containers are removed first"
    assert list(in_networks(client, "dhis2-cluster-other")) == [], "another stack's objects are not looked at"
