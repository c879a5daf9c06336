"""SwarmWatcher: services of a swarm, which is asked through one of its managers."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import pulumi
from docker import DockerClient
from requests.exceptions import RequestException

from components.orchestrator.client import engine_address
from components.orchestrator.commands import read_service_log
from components.orchestrator.container_state import Evaluation, epoch_seconds
from components.orchestrator.dump_upload import upload_dump
from components.orchestrator.readiness import POLL_SECONDS, EngineWatcher, missing
from components.orchestrator.short_lived import ShortLived
from components.orchestrator.swarm.jobs import run_job, run_short_lived
from components.orchestrator.swarm.nodes import is_without_quorum, without_quorum
from components.orchestrator.swarm.pieces import MOST_BYTES, write_file
from components.orchestrator.swarm.pull import pull_on_nodes
from components.orchestrator.swarm.services import (
    Hosts,
    alive_tasks,
    hosts_of,
    inspect_service,
    orphaned_tasks,
    running_tasks,
    scale_back,
    scale_to_none,
    tasks_of,
    update_service,
)
from components.orchestrator.swarm.tasks import (
    ENDED_BADLY,
    NO_NODE_SECONDS,
    current_tasks,
    evaluate_service,
    stuck,
    unready_task,
)
from components.orchestrator.watcher import DumpUpload, NotReady, Result, WaitTarget

LOG_SECONDS = 20
STOP_MARGIN_SECONDS = 30
CLOCK_SECONDS = 60  # how far the clocks of two nodes may be apart


@dataclass
class SwarmWatcher(EngineWatcher):
    """Watches the services of a swarm. What is asked of one runs as a job on the node of its task."""

    async def run(self, action: Callable[[DockerClient], Result]) -> Result:
        """Return an action's result with a Docker client. Raises NotReady, also when the swarm loses its quorum."""
        try:
            return await super().run(action)
        except NotReady as error:
            if is_without_quorum(error.__cause__):
                raise NotReady(without_quorum(engine_address(self.docker_host))) from error
            raise

    async def look(self, target: WaitTarget, seen: dict[str, Any]) -> Evaluation:
        """Evaluate a service once; one whose task ends during the wait has failed.

        Raises NotReady when there is none.
        """
        service, tasks, hosts = await self.run(lambda client: _inspect(client, target.container))
        if service is None:
            raise NotReady(f"{target.display_name} {missing(target)}")
        # An update that the swarm has paused stays paused, also without the reason: each wait tries once more.
        if "ended" not in seen and (service.get("UpdateStatus") or {}).get("State") == "paused":
            await self.restart(target.container)
            seen["ended"] = {task["ID"] for task in tasks}
            return Evaluation(status="its update goes on")
        known = seen.setdefault("ended", {task["ID"] for task in tasks if task["Status"]["State"] in ENDED_BADLY})
        evaluation = evaluate_service(service, tasks, hosts, target.condition, known)
        if stuck(evaluation.status):
            since = seen.setdefault("stuck", time.monotonic())
            if time.monotonic() - since > NO_NODE_SECONDS:
                return Evaluation(reason=f"finds no node ({evaluation.status}); see: docker node ls")
        else:
            seen.pop("stuck", None)
        return evaluation

    async def cause(self, target: WaitTarget) -> str:
        """Return why a service is not ready at this moment; empty while it is."""
        service, tasks, hosts = await self.run(lambda client: _inspect(client, target.container))
        if service is None:
            return missing(target)
        evaluation = evaluate_service(service, tasks, hosts, target.condition, set())
        return "" if evaluation.ready else evaluation.reason or f"is not ready: {evaluation.status}"

    async def log(self, target: WaitTarget, count: int) -> list[str]:
        """Return the last lines, without blank ones, of the task that keeps a service from being ready; else of all."""
        return await self.run(lambda client: _log(client, target.container, count))

    def log_command(self, target: WaitTarget) -> str:
        """Return the command that prints a service's log."""
        return f"docker service logs {target.container}"

    async def execute(self, container: str, command: Sequence[str]) -> tuple[int, str]:
        """Return exit code and output of a command in a job beside a task of a service."""
        return await self.run(lambda client: run_job(client, container, command))

    async def execute_on_each(self, container: str, command: Sequence[str]) -> dict[str, tuple[int, str]]:
        """Return exit codes and outputs of a command in jobs beside all tasks of a service, by their nodes."""
        tasks = await self.run(lambda client: running_tasks(client, container))
        hosts = await self.run(hosts_of)
        nodes = {hosts.names[task["NodeID"]]: str(task["NodeID"]) for task in tasks if task["NodeID"] in hosts.up}
        jobs = (self.run(partial(_job_on, container, command, node)) for node in nodes.values())
        return dict(zip(nodes, await asyncio.gather(*jobs), strict=True))

    async def read_file(self, container: str, path: str) -> str | None:
        """Return the text of a file; None when it is not there or nothing runs, and in a preview, which starts no job.

        The text of a secret is empty: what a job prints is logged.
        """
        service = await self.run(lambda client: inspect_service(client, container))
        if service is None or pulumi.runtime.is_dry_run():
            return None
        if path in _secret_paths(service):
            return ""
        code, output = await self.execute(container, ["cat", path])
        return None if code else output

    async def write_file(self, container: str, path: str, content: str | bytes, uid: int) -> None:
        """Replace a file on a volume of a service, atomically; only `uid`, the service's user, can read it."""
        content = content.encode() if isinstance(content, str) else content
        if len(content) > MOST_BYTES:
            raise NotReady(
                f"{path.rpartition('/')[2]} has {len(content) / 10**6:.1f} MB, and a file of at most {MOST_BYTES // 10**6} MB is brought to another node of a swarm"
            )
        code, output = await self.run(lambda client: write_file(client, container, path, content))
        if code:
            raise NotReady(f"{path} of {container} could not be replaced: {output.strip()}")

    async def started_at(self, container: str) -> float:
        """Return when the oldest running task of a service was created, in epoch seconds; infinity when none runs.

        By the clock of a manager, with what another node's clock may be ahead.
        """
        tasks = await self.run(lambda client: running_tasks(client, container))
        return min((epoch_seconds(task["CreatedAt"]) + CLOCK_SECONDS for task in tasks), default=math.inf)

    async def stop(self, container: str, timeout_seconds: int) -> None:
        """Have no tasks of a service, and return when they have ended."""
        await self.run(lambda client: update_service(client, container, scale_to_none))
        deadline = time.monotonic() + timeout_seconds + STOP_MARGIN_SECONDS
        while await self.run(lambda client: alive_tasks(client, container)):
            if time.monotonic() > deadline:
                raise NotReady(f"tasks of {container} have not ended; see: docker service ps {container}")
            await asyncio.sleep(POLL_SECONDS)

    async def start(self, container: str) -> None:
        """Have as many tasks of a service as it had before it was stopped, also by another process."""
        await self.run(lambda client: update_service(client, container, scale_back))

    async def restart(self, container: str) -> None:
        """Have the swarm replace the tasks of a service, one after the other."""
        await self.run(lambda client: update_service(client, container, _force))

    async def restart_failed(self, container: str) -> bool:
        """Start the task of a one-shot service again that has failed before; tell whether one is under way now."""
        service, tasks, _ = await self.run(lambda client: _inspect(client, container))
        newest = next(iter(current_tasks(service, tasks)), None) if service else None
        if newest is not None and newest["Status"]["State"] in ENDED_BADLY:
            await self.restart(container)
            return True
        return service is not None and (newest is None or newest["Status"]["State"] != "complete")

    async def upload_dump(self, container: str, upload: DumpUpload) -> None:
        """Copy a dump file into a task on the node of the manager that is asked. Raises NotReady on any other node."""
        deadline = time.monotonic() + self.timeout_seconds
        while not (found := await self.run(lambda client: running_tasks(client, container))):
            if time.monotonic() > deadline:
                raise NotReady(f"{container} does not run; see: docker service ps {container}")
            await asyncio.sleep(POLL_SECONDS)
        task = found[0]
        await self.run(lambda client: upload_dump(client, task["Status"]["ContainerStatus"]["ContainerID"], upload))

    async def volume_exists(self, name: str) -> bool:
        """Return False: volumes of other nodes are not known."""
        return False

    async def run_short_lived(self, spec: ShortLived) -> tuple[int, str]:
        """Return exit code and output of a command in a task of its own, which is removed."""
        return await self.run(lambda client: run_short_lived(client, spec))

    async def until_pulled(self, container: str, image: str, reference: str, constraints: Sequence[str]) -> None:
        """Return when all nodes that a service may run on have the image that it changes to.

        Raises NotReady with the nodes that cannot have it: by then nothing that runs has been stopped.
        """
        service = await self.run(lambda client: inspect_service(client, container))
        if service is None or _image_id(service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]) == _image_id(image):
            return
        self.report(f"{reference}: pulled on its nodes")
        seconds = self.timeout_seconds
        try:
            missing = await self.run(lambda client: pull_on_nodes(client, container, image, constraints, seconds))
        except TimeoutError as error:
            raise NotReady(str(error)) from None
        if missing:
            nodes = ", ".join(f"{node}: {reason}" for node, reason in missing.items())
            raise NotReady(
                f"{reference} does not start on {nodes}; a node pulls it from its registry, or has to have it by docker load. What runs was not changed"
            )

    async def until_gone(self, container: str) -> None:
        """Return when no task of a removed service of this name is left, so that no two work on one volume or database.

        A task on a node that is down is not waited for: that node has to be kept from coming back with it.
        """
        deadline = time.monotonic() + self.timeout_seconds
        while left := await self.run(lambda client: orphaned_tasks(client, container)):
            if time.monotonic() > deadline:
                nodes = ", ".join(sorted(left))
                raise NotReady(f"{container} was removed, and still runs on {nodes}; see there: docker ps")
            await asyncio.sleep(POLL_SECONDS)


def _inspect(client: DockerClient, name: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]], Hosts]:
    return inspect_service(client, name), tasks_of(client, name), hosts_of(client)


def _job_on(service: str, command: Sequence[str], node: str, client: DockerClient) -> tuple[int, str]:
    return run_job(client, service, command, node=node)


def _log(client: DockerClient, name: str, count: int) -> list[str]:
    """Return the last lines of a log, as far as the nodes of the tasks answer."""
    service, tasks, hosts = _inspect(client, name)
    task = unready_task(service, tasks, hosts) if service else None
    of, identifier = ("tasks", task["ID"]) if task else ("services", name)
    content = bytearray()
    with suppress(RequestException):
        for piece in read_service_log(client, identifier, tail=str(count), timeout_seconds=LOG_SECONDS, of=of):
            content += piece
    return [line for line in content.decode(errors="replace").splitlines() if line.strip()]


def _secret_paths(service: Mapping[str, Any]) -> set[str]:
    container = service["Spec"]["TaskTemplate"]["ContainerSpec"]
    return {secret["File"]["Name"] for secret in container.get("Secrets") or []}


def _image_id(image: str) -> str:
    """Return the digest or id of an image, without the name before it."""
    return image.rpartition("@")[2]


def _force(spec: dict[str, Any]) -> None:
    spec["TaskTemplate"]["ForceUpdate"] = int(spec["TaskTemplate"].get("ForceUpdate") or 0) + 1
