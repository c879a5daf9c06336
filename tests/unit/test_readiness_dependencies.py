"""Waiting for a container that depends on others: the one that is not ready is reported as the cause."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from docker.errors import APIError, NotFound

from components.orchestrator import readiness
from components.orchestrator.docker_watcher import DockerWatcher
from components.orchestrator.watcher import NotReady, WaitTarget
from tests.support.fake_exec import FakeExec

ENDLESS_SECONDS = 10  # a wait that would not end fails its test
PRIMARY = WaitTarget("primary", "the primary database")
REPLICA = WaitTarget("replica-1", "read replica 1", depends_on=(PRIMARY,))
CACHE = WaitTarget("cache", "the cache")
CORE = WaitTarget("core-1", "core 1", depends_on=(PRIMARY, REPLICA, CACHE))
LOAD_BALANCER = WaitTarget("lb", "the load balancer", depends_on=(CORE,))

RESTARTING: dict[str, Any] = {"status": "restarting", "ExitCode": 1}
STOPPED: dict[str, Any] = {"status": "exited", "ExitCode": 0}
UNHEALTHY: dict[str, Any] = {"status": "running", "health": "unhealthy"}


@dataclass
class FakeEngine(FakeExec):
    """A Docker Engine with containers that are healthy unless `states` has them; None: there is no such container.

    `outputs` are what failing healthchecks print, by container; those of the other containers pass.
    """

    states: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def api(self) -> "FakeEngine":
        return self

    def inspect_container(self, name: str) -> dict[str, Any]:
        values = self.states.get(name, {"status": "running", "health": "healthy"})
        if values is None:
            raise NotFound(name)
        state = {"Status": values["status"], "ExitCode": values.get("ExitCode", 0)}
        log = [{"Output": values.get("output", self.outputs.get(name, ""))}]
        state |= {"Health": {"Status": values.get("health", ""), "Log": log}}
        return {
            "State": state,
            "RestartCount": values.get("restarts", 0),
            "Config": {"Healthcheck": {"Test": ["CMD", "x"]}},
        }

    def exec_create(self, name: str, command: list[str]) -> dict[str, str]:
        if (self.states.get(name) or {}).get("status", "running") != "running":
            raise APIError("is not running")
        return {"Id": name}

    def output_of(self, name: str) -> bytes:
        return self.outputs.get(name, "").encode()

    def exec_inspect(self, name: str) -> dict[str, Any]:
        return {"ExitCode": int(name in self.outputs)}

    def logs(self, name: str, tail: int) -> bytes:
        self.inspect_container(name)  # the SDK does so too: a container that does not exist has no log
        return f"log of {name}\n".encode()


def failure(monkeypatch: pytest.MonkeyPatch, engine: FakeEngine, target: WaitTarget = CORE, seconds: int = 60) -> str:
    """Return the message of a wait that fails."""
    monkeypatch.setattr(readiness, "POLL_SECONDS", 0)
    monkeypatch.setattr(readiness, "connect", lambda _: engine)
    waits = DockerWatcher(None, seconds, lambda _: None).until_ready([target])
    with pytest.raises(NotReady) as error:
        asyncio.run(asyncio.wait_for(waits, ENDLESS_SECONDS))
    return str(error.value)


@pytest.mark.parametrize("sick", [PRIMARY, REPLICA, CACHE], ids=lambda target: target.container)
@pytest.mark.parametrize("core", [RESTARTING, {"status": "running", "health": "starting", "restarts": 3}])
@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (RESTARTING, "exited with code 1"),
        (STOPPED, "was stopped by hand"),
        (None, "no longer exists; recreate it: pulumi up --refresh"),
        (UNHEALTHY, "is unhealthy: does not answer"),
        # Docker runs the healthcheck every few seconds only.
        ({"status": "running", "health": "healthy"}, "is unhealthy: does not answer"),
    ],
)
def test_a_failed_core_is_not_the_cause_while_what_it_depends_on_is_not_ready(
    monkeypatch: pytest.MonkeyPatch, sick: WaitTarget, core: dict[str, Any], state: dict[str, Any] | None, reason: str
) -> None:
    engine = FakeEngine({"core-1": core, sick.container: state}, {sick.container: "does not answer", "core-1": ""})
    text = failure(monkeypatch, engine, seconds=0)
    assert text.startswith(sick.display_name) and reason in text.splitlines()[0], text
    assert (f"  | log of {sick.container}" in text) == (f"docker logs {sick.container}" in text) == (state is not None)
    assert text.endswith("\n  core 1 depends on it: docker logs core-1")


def test_a_failed_core_is_the_cause_while_the_others_are_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    text = failure(monkeypatch, FakeEngine({"core-1": RESTARTING}))
    assert text.startswith("core 1 exited with code 1\n  | log of core-1")


def test_the_first_cause_is_named_where_one_part_takes_the_others_along(monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"primary": RESTARTING, "replica-1": UNHEALTHY, "core-1": RESTARTING}
    engine = FakeEngine({**states, "lb": UNHEALTHY}, {"replica-1": "receives nothing", "lb": "502"})
    for target in (REPLICA, CORE, LOAD_BALANCER):
        text = failure(monkeypatch, engine, target, seconds=0)
        assert text.startswith("the primary database exited with code 1"), text


def test_a_healthy_core_in_between_does_not_hide_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine({"lb": UNHEALTHY, "cache": RESTARTING}, {"lb": "DHIS2 answers 500"})
    assert failure(monkeypatch, engine, LOAD_BALANCER, seconds=0).startswith("the cache exited with code 1")


@pytest.mark.parametrize("state", [RESTARTING, STOPPED, {**UNHEALTHY, "output": "fatal: the cache is full"}])
def test_a_wait_ends_as_soon_as_a_dependency_has_failed(monkeypatch: pytest.MonkeyPatch, state: dict[str, Any]) -> None:
    starting = {"status": "running", "health": "starting"}
    engine = FakeEngine({"core-1": starting, "cache": state}, {"core-1": "", "cache": "fatal: the cache is full"})
    assert failure(monkeypatch, engine).startswith("the cache "), "without it the core never becomes ready"


@pytest.mark.parametrize("state", [RESTARTING, STOPPED, UNHEALTHY, None])
def test_a_core_is_ready_whatever_it_depends_on(monkeypatch: pytest.MonkeyPatch, state: dict[str, Any] | None) -> None:
    monkeypatch.setattr(readiness, "connect", lambda _: FakeEngine({"replica-1": state}))
    asyncio.run(asyncio.wait_for(DockerWatcher(None, 60, print).until_ready([CORE]), ENDLESS_SECONDS))


def test_a_core_that_becomes_ready_first_ends_the_wait_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    class Starting(FakeEngine):
        inspections = 0

        def inspect_container(self, name: str) -> dict[str, Any]:
            self.inspections += name == "core-1"
            health = "healthy" if self.inspections > 3 else "starting"
            self.states["core-1"] = {"status": "running", "health": health}
            return super().inspect_container(name)

    engine = Starting({"replica-1": UNHEALTHY}, {"core-1": "", "replica-1": "takes a base backup"})
    monkeypatch.setattr(readiness, "POLL_SECONDS", 0)
    monkeypatch.setattr(readiness, "connect", lambda _: engine)
    asyncio.run(asyncio.wait_for(DockerWatcher(None, 60, print).until_ready([CORE]), ENDLESS_SECONDS))


def test_a_healthcheck_after_which_no_wait_helps_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine({"cache": UNHEALTHY}, {"cache": "fatal: the cache is full: pulumi config set cacheMemory 512"})
    text = failure(monkeypatch, engine, CACHE)
    assert text.startswith("the cache is unhealthy: the cache is full: pulumi config set cacheMemory 512\n")


def test_a_healthcheck_that_passes_again_ends_the_wait_too(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine({"cache": {**UNHEALTHY, "output": "fatal: the cache is full"}})
    monkeypatch.setattr(readiness, "connect", lambda _: engine)
    asyncio.run(asyncio.wait_for(DockerWatcher(None, 60, print).until_ready([CACHE]), ENDLESS_SECONDS))


def test_a_command_that_fails_names_the_cause_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "POLL_SECONDS", 0)
    engine = FakeEngine({"primary": STOPPED}, {"lb": "503"})
    monkeypatch.setattr(readiness, "connect", lambda _: engine)
    with pytest.raises(NotReady, match=r"^the primary database exited with code 0 and was stopped by hand"):
        asyncio.run(DockerWatcher(None, 0, print).until_succeeds(LOAD_BALANCER, ["ping"], "does not answer"))
