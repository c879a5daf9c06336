"""`dhis2-cluster restart`, `stop` and `start`: what is touched, in which order, and what is waited for."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from components.orchestrator.restart import restart_in_turn
from components.orchestrator.watcher import NotReady, WaitTarget
from tests.unit.cli.engine import CommandLine, container

TARGETS = [WaitTarget(f"dhis2-cluster-dev-core-{number}", f"core {number}") for number in (1, 2)]


@dataclass
class Engine:
    """A watcher: what is asked of it, in its order.

    `sick` never becomes healthy once it was restarted.
    """

    sick: str = ""
    done: list[str] = field(default_factory=list)

    async def until_ready(self, targets: list[WaitTarget]) -> None:
        if f"restart {self.sick}" in self.done:
            raise NotReady(f"{self.sick} exited")
        self.done.append(f"wait for {len(targets)}")

    def report(self, _: str) -> None:
        """Print nothing."""

    async def restart(self, name: str) -> None:
        self.done.append(f"restart {name}")


def restart(engine: Any) -> list[str]:  # noqa: ANN401 - in place of a Watcher
    asyncio.run(restart_in_turn(engine, TARGETS))
    return list(engine.done)


def test_each_core_is_restarted_when_all_are_healthy() -> None:
    first, second = (f"restart {target.container}" for target in TARGETS)
    assert restart(Engine()) == ["wait for 2", first, "wait for 2", second, "wait for 2"]


def test_no_further_core_is_stopped_when_one_does_not_come_back() -> None:
    engine = Engine(sick=TARGETS[0].container)
    with pytest.raises(NotReady):
        restart(engine)
    assert f"restart {TARGETS[1].container}" not in engine.done


def test_without_a_part_all_cores_restart_in_the_order_of_their_numbers(command_line: CommandLine) -> None:
    command_line.engine.parts["core-10"] = container("core-10")
    assert command_line.run("restart") == 0
    assert command_line.engine.done == ["restart core-1 60", "restart core-2 60", "restart core-10 60"]
    assert "restarted and healthy: core-1, core-2, core-10" in command_line.out


def test_a_restart_that_would_interrupt_the_service_is_refused_with_the_fix(command_line: CommandLine) -> None:
    del command_line.engine.parts["core-2"]
    assert command_line.run("restart") == 2
    assert "has one core, so users would see" in command_line.error
    assert "pulumi config set cores 2 -s dev && pulumi up -s dev" in command_line.error
    assert command_line.engine.done == []


def test_a_named_core_restarts_also_where_it_is_the_only_one_or_hangs(command_line: CommandLine) -> None:
    del command_line.engine.parts["core-2"]
    assert command_line.run("restart", "core-1") == 0
    assert command_line.engine.done == ["restart core-1 60"]


def test_a_part_that_does_not_come_back_is_exit_code_1(command_line: CommandLine) -> None:
    command_line.engine.parts["cache"] = container("cache", state={"Status": "exited", "ExitCode": 1})
    assert command_line.run("restart", "cache") == 1
    assert "cache exited with code 1" in command_line.error


def test_an_unhealthy_core_ends_a_rolling_restart_before_it_begins(command_line: CommandLine) -> None:
    command_line.engine.parts["core-2"] = container("core-2", state={"Status": "exited", "ExitCode": 1})
    assert command_line.run("restart") == 1
    assert "the restart ends here, the others still run" in command_line.error
    assert command_line.engine.done == []


def test_an_unknown_part_is_refused_with_the_list(command_line: CommandLine) -> None:
    assert command_line.run("restart", "database") == 2
    assert (
        "stack dev has no part database. Parts: lb, core-1, core-2, cache, primary, replica-1, dump, core, replica"
        in command_line.error
    )


def test_stop_ends_first_what_depends_on_others(command_line: CommandLine) -> None:
    assert command_line.run("stop") == 0
    done = [entry.split()[1] for entry in command_line.engine.done]
    assert done[0] == "lb", "it finishes the requests it has while there are cores"
    assert set(done[1:3]) == {"core-1", "core-2"}
    assert done[-1] == "primary"
    assert "dump" not in done, "it does not run"
    assert all(entry.endswith(" 60") for entry in command_line.engine.done), "each within its own stop timeout"


def test_start_begins_with_what_others_depend_on_and_waits_until_all_are_healthy(command_line: CommandLine) -> None:
    command_line.run("stop")
    command_line.engine.done.clear()
    assert command_line.run("start") == 0
    done = [entry.removeprefix("start ") for entry in command_line.engine.done]
    assert set(done[:2]) == {"lb", "primary"}, "the load balancer serves a page while DHIS2 starts"
    assert set(done[2:4]) == {"cache", "replica-1"}
    assert done[4:] == ["core-1", "core-2"], "core-1 alone first: it may have to migrate"
    assert "dump" not in done, "it would fetch the dump again"
    assert "stack dev is ready: http://127.0.0.1:8080" in command_line.out


def test_no_core_starts_on_a_database_that_does_not(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    command_line.run("stop")
    command_line.engine.done.clear()
    broken = {"Status": "exited", "ExitCode": 1}

    def start(name: str) -> None:
        command_line.engine.done.append(name)
        state = broken if name.endswith("primary") else container("any")["State"]
        command_line.engine.inspect_container(name)["State"] = state

    monkeypatch.setattr(command_line.engine, "start", start)
    assert command_line.run("start") == 1
    assert "primary exited with code 1" in command_line.error
    assert not [name for name in command_line.engine.done if "core" in name]


def test_for_scripts_the_parts_that_were_touched_are_printed(command_line: CommandLine) -> None:
    command_line.run("restart", "--json")
    assert json.loads(command_line.out) == {"restarted": ["core-1", "core-2"]}
    command_line.run("stop", "--json")
    assert json.loads(command_line.out)["stopped"][0] == "lb"
    command_line.run("start", "--json")
    assert json.loads(command_line.out)["started"][-1] == "core-2"
    assert "starting core-2" in command_line.error, "progress is on stderr"
