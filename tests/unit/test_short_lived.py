"""Short-lived containers: what Docker Engine is asked for, and what a failure becomes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from docker.errors import ImageNotFound
from requests.exceptions import ReadTimeout

from components.orchestrator.short_lived import NOT_STARTED, ShortLived, pull_missing, run_short_lived
from tests.support.program import FakeEngine, FakeShortLived

SPEC = ShortLived(name="n", image="i", uid=1, command=("true",), memory_mb=64)


@dataclass
class Images:
    """The images of a Docker Engine."""

    here: set[str]
    pulled: list[str] = field(default_factory=list)

    @property
    def images(self) -> "Images":
        return self

    def get(self, name: str) -> None:
        if name not in self.here:
            raise ImageNotFound(name)

    def pull(self, name: str) -> None:
        self.pulled.append(name)


def run(engine: Any) -> tuple[int, str]:  # noqa: ANN401 - a client
    return run_short_lived(engine, SPEC)


@pytest.mark.parametrize("end", [(0, "printed"), (3, "failed"), (NOT_STARTED, "no such device")])
def test_its_end_is_returned_and_nothing_is_left(end: tuple[int, str]) -> None:
    engine = FakeEngine(short_lived=end)
    assert run(engine) == end
    (created,) = engine.created
    assert created.removed and created.files == {}
    assert created.options["cap_drop"] == ["ALL"] and created.options["security_opt"] == ["no-new-privileges:true"]
    assert created.options["mem_limit"] == created.options["memswap_limit"] == "64m", "no swap"


class Waiting(FakeShortLived):
    """A container whose mount has no end."""

    def start(self) -> None:
        raise ReadTimeout

    def remove(self, force: bool) -> None:
        raise ReadTimeout


class Silent(FakeEngine):
    """A Docker Engine that waits for a mount."""

    def create(self, image: str, **options: Any) -> FakeShortLived:  # noqa: ANN401 - those of docker's create
        return Waiting({"image": image, **options}, 0, "")


def test_a_mount_without_an_end_is_a_failure() -> None:
    assert run(Silent()) == (NOT_STARTED, "no answer within 60 s")


def test_an_image_is_pulled_once() -> None:
    reported: list[str] = []
    report: Callable[[], None] = lambda: reported.append("pulling")  # noqa: E731 - short
    engine: Any = Images({"here"})
    pull_missing(engine, "here", report)
    assert (engine.pulled, reported) == ([], [])
    pull_missing(engine, "missing", report)
    assert (engine.pulled, reported) == (["missing"], ["pulling"])
