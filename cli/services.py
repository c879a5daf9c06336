"""The services of a stack on a Docker Swarm, which is asked through one of its managers."""

import asyncio
import shlex
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from subprocess import CompletedProcess
from typing import Any, NoReturn

from cli import docker_command
from cli.deployed import REPORTED, DeployedStack, stamped_lines
from cli.errors import FAILED, CommandError
from cli.listing import LOST, Listing
from cli.output import progress
from cli.parts import Inspected, NodeStatus, Part
from cli.target import Target
from cli.tasks import InspectedTask, driver_options
from components.naming import STACK_LABEL
from components.orchestrator.client import engine_address
from components.orchestrator.commands import NOT_RUNNING, STDERR, STDOUT, Frame, read_task_log
from components.orchestrator.engine_info import image_report
from components.orchestrator.readiness import EngineWatcher
from components.orchestrator.short_lived import ShortLived
from components.orchestrator.swarm.jobs import MOST_CONFIG_BYTES, Show, follow_job, run_job, run_short_lived, text_of
from components.orchestrator.swarm.nodes import SwarmInfo, swarm_info
from components.orchestrator.swarm.services import (
    config_text,
    environment_of,
    hosts_of,
    in_environment,
    inspect_service,
    running_tasks,
    stop_timeout_seconds,
)
from components.orchestrator.swarm.tasks import Task
from components.orchestrator.watcher import NotReady
from components.swarm_preflight import reached_at_node

LOG_SECONDS = 20


class StackServices(DeployedStack):
    """The services of one stack. What is asked of one runs beside its task, on the same node."""

    object_name = "service"
    streams = False
    question_seconds = 30  # each is a task that a manager has to place

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._image_reports: dict[str, Mapping[str, Any]] = {}
        self._unread: set[str] = set()  # nodes whose logs are missing
        self._nodes: dict[str, str] = {}  # where short-lived tasks run, by the service they run beside

    @property
    def url(self) -> str:
        """The address people use: that of a node with a load balancer, where none is set."""
        return reached_at_node(self.target.settings, self._swarm()).public_url

    def parts(self) -> list[Part]:
        """Return the services in the order of the data's way; CommandError when the stack has none."""
        return self._listing().parts()

    def inspected(self) -> Sequence[InspectedTask]:
        """Return the tasks of all parts with what the manager reports of each."""
        return self._listing().tasks(self._image_report)

    def nodes(self, inspected: Sequence[Inspected]) -> list[NodeStatus]:
        """Return the nodes of the swarm with the parts that run on each."""
        return [
            NodeStatus(
                node=node.hostname,
                state=node.state,
                availability=node.availability,
                role="manager" if node.is_manager else "worker",
                parts=[item.part.part for item in inspected if item.state == "running" and item.node == node.hostname],
            )
            for node in self._swarm().nodes
        ]

    def _watcher(self, timeout_seconds: int, report: Callable[[str], None]) -> EngineWatcher:
        # Not at the top: it imports Pulumi, which takes a second.
        from components.orchestrator.swarm.watcher import SwarmWatcher  # noqa: PLC0415

        return SwarmWatcher(self.target.docker_host, timeout_seconds, report)

    def execute(self, part: Part, command: Sequence[str]) -> tuple[int, str]:
        """Return exit code and output of a command beside a task; NOT_RUNNING and the reason where it cannot run."""
        try:
            return run_job(self.client, part.container, command)
        except (*REPORTED, TimeoutError) as error:
            return NOT_RUNNING, str(getattr(error, "explanation", None) or error)

    def sourced(self, script: str, host: str) -> str:
        """Return the shell code that reads a script which connects to a host instead of 127.0.0.1."""
        return f"eval \"$(sed 's/127[.]0[.]0[.]1/{host}/' {script})\""

    def attach(self, part: Part, command: Sequence[str], *, instead: str, reads: bool) -> NoReturn:
        """Become a command in a task on the node of the manager, or run one beside a task on another node.

        Raises CommandError for a session on another node, which the manager does not reach.
        """
        task = self._running_task(part)
        container = str(task["Status"]["ContainerStatus"]["ContainerID"])
        if task["NodeID"] == self._own_node():
            docker_command.attach(self.target, replace(part, container=container), in_environment(command))
        if sys.stdin.isatty() and instead:
            node = hosts_of(self.client).names.get(task["NodeID"], "another node")
            raise CommandError(
                f"{part.part} runs on {node}, and a manager opens no session on another node. Without a session: {instead}. With one, on {node}: docker exec -it {container[:12]} {shlex.join(command)}"
            )
        # All of it, before the command begins. What never ends, as behind ssh, is left alone where nothing reads it.
        stdin = sys.stdin.read() if reads and not sys.stdin.isatty() else ""
        sys.exit(self._follow(part, command, _show, stdin)[0])

    def pipe(self, part: Part, command: Sequence[str], stdin: str) -> CompletedProcess[str]:
        """Run a command beside a task with an input, which is a secret of the swarm meanwhile."""
        code, frames = self._follow(part, command, None, stdin)
        return CompletedProcess(command, code, text_of(frames, STDOUT), text_of(frames, STDERR))

    def follow(self, part: Part, command: Sequence[str]) -> tuple[int, str]:
        """Run a command beside a task with its progress on stderr, and return its exit code and its output."""
        code, frames = self._follow(part, command, _show_progress)
        return code, text_of(frames, STDOUT).strip()

    def read_file(self, part: Part, path: str) -> str | None:
        """Return the text of a file of a service; a secret is nowhere in plain text but in Pulumi's state."""
        container = self._container(part)
        for config in container.get("Configs") or []:
            if config["File"]["Name"] == path:
                return config_text(self.client, config["ConfigID"])
        names = [secret["SecretName"] for secret in container.get("Secrets") or [] if secret["File"]["Name"] == path]
        return self.target.swarm_secret(names[0]) if names else None

    def volume_at(self, part: Part, path: str) -> tuple[str, Mapping[str, str]]:
        """Return the name and the driver options of the volume that a service has at a path."""
        for mount in self._container(part).get("Mounts") or []:
            if mount.get("Type") == "volume" and mount.get("Target") == path:
                return str(mount["Source"]), driver_options(mount)
        return "", {}

    def create_volume(self, name: str, options: Mapping[str, str], labels: Mapping[str, str]) -> None:
        """Do nothing: a volume comes into being on each node where a task mounts it."""

    def pull(self, image: str) -> None:
        """Do nothing: the node of a task pulls its image."""

    def run_short_lived(self, spec: ShortLived, beside: Part) -> tuple[int, str]:
        """Return exit code and output of a command in a task of its own, where the volumes of a service are.

        That is the node where it runs, or ran when it was asked for first.
        """
        if beside.container not in self._nodes:
            self._nodes[beside.container] = str(self._running_task(beside)["NodeID"])
        return run_short_lived(self.client, spec, self._nodes[beside.container])

    def short_lived_log_command(self, spec: ShortLived) -> str:
        """Return the command that follows what such a command prints."""
        return f"docker service logs -f $(docker service ls -q --filter name={spec.name})"

    def environment(self, part: Part) -> dict[str, str]:
        """Return the environment variables of the commands of a service."""
        service = inspect_service(self.client, part.container)
        return environment_of(self.client, service) if service else {}

    def memory_bytes(self, part: Part) -> int | None:
        """Return None: a manager does not know it."""
        return None

    def image_tag(self, identifier: str) -> str:
        """Return the name of an image: its tag where the manager has it, else what is before its digest."""
        tags = self._image_report(identifier).get("RepoTags") or []
        name, _, _ = identifier.removeprefix("sha256:").partition("@")
        return str(tags[0]) if tags else name if name != identifier.removeprefix("sha256:") else name[:12]

    def log_sources(self, words: Sequence[str]) -> list[Part]:
        """Return the tasks that have a log of the parts with these names, those that have ended, too."""
        listing = self._listing()
        sources = listing.log_sources()
        known = self.selected([*sources, *listing.parts()], words)
        return [source for source in sources if source in known]

    def log(self, source: Part, *, since_seconds: float, tail: int | None, follow: bool) -> Iterator[tuple[str, str]]:
        """Yield the log of a task as pairs of Docker's timestamp, which sorts as text, and line.

        A node that does not answer is named once on stderr.
        """
        if source.state == LOST:
            self._miss(source, "it is down")
            return
        chunks = read_task_log(
            self.client,
            source.container,
            since_seconds=since_seconds,
            tail="all" if tail is None else str(tail),
            follow=follow,
            timeout_seconds=LOG_SECONDS,
        )
        try:
            yield from stamped_lines(chunks)
        except REPORTED as error:
            self._miss(source, str(error))

    def _miss(self, source: Part, reason: str) -> None:
        if source.node not in self._unread:
            self._unread.add(source.node)
            progress(f"warning: logs of {source.node} are missing, such as that of {source.part}: {reason}")

    def start(self, part: Part) -> None:
        """Have a service have the tasks it had before it was stopped; nothing happens to one that has some."""
        self._ask(lambda watcher: watcher.start(part.container))

    def stop(self, part: Part) -> None:
        """Have a service have no tasks, and wait until they have ended."""
        service = inspect_service(self.client, part.container)
        seconds = stop_timeout_seconds(service) if service else 0
        self._ask(lambda watcher: watcher.stop(part.container, seconds))

    def restart(self, part: Part) -> None:
        """Have the swarm replace the tasks of a service, one after the other."""
        self._ask(lambda watcher: watcher.restart(part.container))

    def _ask(self, action: Callable[[EngineWatcher], Awaitable[None]]) -> None:
        async def ask() -> None:
            await action(self.watcher())

        try:
            asyncio.run(ask())
        except NotReady as error:
            raise CommandError(str(error), FAILED) from error

    def _swarm(self) -> SwarmInfo:
        """Return what the manager knows of the swarm now. Raises CommandError where it is no manager."""
        info = swarm_info(self.client, engine_address(self.target.docker_host))
        if info.refusal:
            raise CommandError(info.refusal)
        return info

    def _listing(self) -> Listing:
        """Return the services of the stack with their tasks. Raises CommandError where there is none."""
        self._swarm()
        services = self.client.api.services({"label": [f"{STACK_LABEL}={self.target.prefix}"]})
        if not services:
            address = engine_address(self.target.docker_host)
            raise self.target.not_deployed(f"has no services on the swarm of {address}")
        tasks = self.client.api.tasks({"service": [service["ID"] for service in services]})
        return Listing(self.target.prefix, services, tasks, hosts_of(self.client))

    def _image_report(self, image: str) -> Mapping[str, Any]:
        """Return what the manager's Docker Engine knows of an image; nothing where it does not have it."""
        if image not in self._image_reports:
            self._image_reports[image] = image_report(self.client, image)
        return self._image_reports[image]

    def _running_task(self, part: Part) -> Task:
        """Return a running task of a part, the one on the manager's own node before others."""
        tasks = running_tasks(self.client, part.container)
        if not tasks:
            raise CommandError(
                f"{part.part} is not running. What its tasks do: dhis2-cluster status -s {self.target.stack}"
            )
        own = self._own_node()
        return next((task for task in tasks if task["NodeID"] == own), tasks[0])

    def _container(self, part: Part) -> dict[str, Any]:
        """Return what the tasks of a part run; nothing where there is no such service."""
        service = inspect_service(self.client, part.container)
        return dict(service["Spec"]["TaskTemplate"]["ContainerSpec"]) if service else {}

    def _own_node(self) -> str:
        return str((self.client.api.info().get("Swarm") or {}).get("NodeID") or "")

    def _follow(
        self, part: Part, command: Sequence[str], show: Show | None, stdin: str = ""
    ) -> tuple[int, list[Frame]]:
        """Run a command beside a task. Raises CommandError where it does not run."""
        if len(stdin.encode()) > MOST_CONFIG_BYTES:
            raise CommandError(
                f"the input has {len(stdin.encode()) // 1000} kB, and a swarm takes at most {MOST_CONFIG_BYTES // 1000} kB to another node. Give it in parts"
            )
        code, frames = follow_job(self.client, part.container, command, show, stdin)
        if code == NOT_RUNNING:
            raise CommandError(f"the command could not run beside {part.part}: {text_of(frames)}", FAILED)
        return code, frames


def _show(frame: Frame) -> None:
    """Print what a command has printed, where it has."""
    stream, content = frame
    output = sys.stdout if stream == STDOUT else sys.stderr
    output.buffer.write(content)
    output.flush()


def _show_progress(frame: Frame) -> None:
    """Print what a command has printed on stderr."""
    if frame[0] != STDOUT:
        _show(frame)
