"""`make restart`: only the cores, one after the other, each when the others are healthy."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from components.naming import NUMBER_LABEL
from components.orchestrator.readiness import NotReady, WaitTarget
from components.orchestrator.restart import restart_in_turn
from tools import rolling_restart
from tools.rolling_restart import cores, restart_cores
from tools.terminal import ToolError

TARGETS = [WaitTarget(f"dhis2-cluster-dev-core-{number}", f"core {number}") for number in (1, 2)]


@dataclass
class Engine:
    """A watcher and its Docker Engine: what is asked of them, in its order.

    `sick` never becomes healthy once it was restarted.
    """

    sick: str = ""
    done: list[str] = field(default_factory=list)

    async def until_ready(self, targets: list[WaitTarget]) -> None:
        if f"restart {self.sick} 60" in self.done:
            raise NotReady(f"{self.sick} exited")
        self.done.append(f"wait for {len(targets)}")

    async def run(self, action: Any) -> None:  # noqa: ANN401 - a function of a Docker client
        action(self)

    def report(self, _: str) -> None:
        """Print nothing."""

    @property
    def api(self) -> "Engine":
        return self

    def inspect_container(self, _: str) -> dict[str, Any]:
        return {"Config": {"StopTimeout": 60}}

    def restart(self, name: str, timeout: int) -> None:
        self.done.append(f"restart {name} {timeout}")


def restart(engine: Any) -> list[str]:  # noqa: ANN401 - in place of a Watcher
    asyncio.run(restart_in_turn(engine, TARGETS))
    return list(engine.done)


def test_each_core_is_restarted_when_all_are_healthy() -> None:
    first, second = (f"restart {target.container} 60" for target in TARGETS)
    assert restart(Engine()) == ["wait for 2", first, "wait for 2", second, "wait for 2"]


def test_no_further_core_is_stopped_when_one_does_not_come_back() -> None:
    engine = Engine(sick=TARGETS[0].container)
    with pytest.raises(NotReady):
        restart(engine)
    assert f"restart {TARGETS[1].container} 60" not in engine.done


@dataclass
class Core:
    """A container as the SDK shows it."""

    number: int

    @property
    def name(self) -> str:
        return f"dhis2-cluster-dev-core-{self.number}"

    @property
    def labels(self) -> dict[str, str]:
        return {NUMBER_LABEL: str(self.number)}


class Client:
    """A Docker Engine with the cores of the stack dev."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers

    @property
    def containers(self) -> "Client":
        return self

    def list(self, filters: dict[str, list[str]], **_: object) -> list[Core]:
        own = {"label": ["dhis2-cluster.stack=dhis2-cluster-dev", "com.docker.compose.service=core"]}
        return [Core(number) for number in self.numbers] if filters == own else []


def test_cores_are_found_by_their_labels_and_in_the_order_of_their_numbers() -> None:
    client: Any = Client(10, 2, 1)
    assert [target.display_name for target in cores(client, "dhis2-cluster-dev")] == ["core 1", "core 2", "core 10"]
    assert cores(client, "dhis2-cluster-other") == []


@pytest.mark.parametrize(("numbers", "reason"), [((1,), "has one core, so users would see"), ((), "has no cores")])
def test_a_restart_that_would_interrupt_the_service_is_refused_with_the_fix(
    numbers: tuple[int, ...], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rolling_restart, "connect", lambda _: Client(*numbers))
    with pytest.raises(ToolError, match=reason):
        restart_cores("unix:///nowhere", "dev", 30)
