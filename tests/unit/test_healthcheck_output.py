"""What `up` reports of a container that is not ready in time: the output of its healthcheck."""

import asyncio
from typing import Any

import pytest

from components.orchestrator import readiness
from components.orchestrator.container_state import healthcheck_output
from components.orchestrator.docker_watcher import DockerWatcher
from components.orchestrator.watcher import NotReady, WaitTarget
from tests.support.fake_exec import FakeExec

LINE = "DHIS2 is starting or migrating the database: port 8090 is not open yet"


def starting(*outputs: str) -> dict[str, Any]:
    """The inspection of a container whose healthcheck has printed these outputs."""
    runs = [{"ExitCode": 1, "Output": output} for output in outputs]
    return {
        "State": {"Status": "running", "Health": {"Status": "starting", "Log": runs}},
        "Config": {"Healthcheck": {"Test": ["CMD", "false"]}},
    }


class Engine(FakeExec):
    """A Docker Engine with one starting container."""

    def __init__(self) -> None:
        self.api = self

    def inspect_container(self, _: str) -> dict[str, Any]:
        return starting("an earlier run", f"{LINE}\n")

    def exec_create(self, *_: object) -> dict[str, str]:
        return {"Id": "1"}

    def output_of(self, _: str) -> bytes:
        return b""

    def exec_inspect(self, _: str) -> dict[str, Any]:
        return {"ExitCode": 1}

    def logs(self, _: str, tail: int) -> bytes:
        return b""


@pytest.mark.parametrize(
    ("inspected", "output"),
    [
        (starting("one", "two\n"), "two"),
        (starting(), ""),
        ({"State": {"Status": "created"}}, ""),
        ({"State": {"Status": "running", "Health": None}}, ""),
    ],
)
def test_the_output_is_that_of_the_last_run(inspected: dict[str, Any], output: str) -> None:
    assert healthcheck_output(inspected) == output


def test_a_core_that_migrates_longer_than_ready_timeout_is_reported_as_migrating(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readiness, "connect", lambda _: Engine())
    with pytest.raises(NotReady) as error:
        asyncio.run(DockerWatcher(None, 0, print).until_ready([WaitTarget("stack-core-1", "core 1")]))
    assert f"core 1 was not ready after 0 s (starting: {LINE}); to wait longer: " in str(error.value)
