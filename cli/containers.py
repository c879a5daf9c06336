"""The containers of a stack on one Docker Engine."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from subprocess import CompletedProcess
from typing import Any, NoReturn

from docker.errors import APIError

from cli import docker_command
from cli.deployed import DeployedStack, stamped_lines
from cli.output import progress
from cli.parts import Inspected, Part, rank
from components.naming import STACK_LABEL
from components.orchestrator.client import engine_address
from components.orchestrator.commands import NOT_RUNNING, execute, read_file, read_log
from components.orchestrator.container_state import Condition, Evaluation, evaluate, healthcheck_output
from components.orchestrator.containers import inspect, restart
from components.orchestrator.docker_watcher import DockerWatcher
from components.orchestrator.engine_info import image_report
from components.orchestrator.short_lived import ShortLived, pull_missing, run_short_lived

HEALTH_SECONDS = 15


@dataclass(frozen=True)
class InspectedContainer(Inspected):
    """A part with what Docker Engine reports of its container."""

    part: Part
    report: dict[str, Any]

    @property
    def is_one_shot(self) -> bool:
        """True for a container that runs once and exits."""
        policy = (self.report.get("HostConfig") or {}).get("RestartPolicy") or {}
        return policy.get("Name") in ("", "no", None)

    @property
    def evaluation(self) -> Evaluation:
        """Whether it is healthy (a one-shot: has completed), else why not."""
        condition = Condition.SERVICE_COMPLETED_SUCCESSFULLY if self.is_one_shot else Condition.SERVICE_HEALTHY
        return evaluate(self.report, condition, self.restarts)

    @property
    def state(self) -> str:
        """Docker's word for its state."""
        return str(self._state.get("Status", ""))

    @property
    def health_output(self) -> str:
        """What its healthcheck printed last."""
        return healthcheck_output(self.report)

    @property
    def started_at(self) -> str | None:
        """Docker's timestamp of its start; None where it does not run."""
        return str(self._state.get("StartedAt")) if self.is_running else None

    @property
    def restarts(self) -> int:
        """How often Docker has restarted it after it exited by itself."""
        return int(self.report.get("RestartCount") or 0)

    @property
    def memory_limit_bytes(self) -> int | None:
        """Its memory limit; None without one."""
        return int((self.report.get("HostConfig") or {}).get("Memory") or 0) or None

    @property
    def image(self) -> str:
        """The image it was created from."""
        return str(self.configuration.get("Image") or self.report.get("Image") or "")

    @property
    def configuration(self) -> Mapping[str, Any]:
        """Docker's `Config`."""
        return self.report.get("Config") or {}

    @property
    def volume_mounts(self) -> Sequence[tuple[str, str, bool]]:
        """Its volumes by name, each with its path and whether it can write to it."""
        mounts = [mount for mount in self.report.get("Mounts") or [] if mount.get("Type") == "volume"]
        return [(str(mount["Name"]), str(mount["Destination"]), bool(mount.get("RW"))) for mount in mounts]

    @property
    def _state(self) -> dict[str, Any]:
        return self.report.get("State") or {}


class StackContainers(DeployedStack):
    """The containers of one stack."""

    object_name = "container"
    streams = True

    def parts(self) -> list[Part]:
        """Return the parts in the order of the data's way; CommandError when the stack has none."""
        filters = {"label": [f"{STACK_LABEL}={self.target.prefix}"]}
        listed = self.client.api.containers(all=True, filters=filters)
        names = {str(container["Names"][0]).lstrip("/"): str(container["State"]) for container in listed}
        parts = [Part(name.removeprefix(f"{self.target.prefix}-"), name, state) for name, state in names.items()]
        if not parts:
            raise self.target.not_deployed(
                f"has no containers on Docker Engine at {engine_address(self.target.docker_host)}"
            )
        return sorted(parts, key=rank)

    def inspected(self) -> Sequence[InspectedContainer]:
        """Return the parts with what Docker Engine reports of each."""
        reports = self.map(self._inspect, self.parts())
        return [InspectedContainer(part, report) for part, report in reports if report]

    def _inspect(self, part: Part) -> dict[str, Any] | None:
        report = inspect(self.client, part.container)
        health = ((report or {}).get("State") or {}).get("Health") or {}
        # Docker runs a healthcheck every few seconds only: after `pulumi up` or `start` it is behind.
        if report and health.get("Status") == "starting":
            command = ["timeout", str(HEALTH_SECONDS), *report["Config"]["Healthcheck"]["Test"][1:]]
            if self.execute(part, command)[0] == 0:
                health["Status"] = "healthy"
        return report

    def _watcher(self, timeout_seconds: int, report: Callable[[str], None]) -> DockerWatcher:
        return DockerWatcher(self.target.docker_host, timeout_seconds, report)

    def execute(self, part: Part, command: Sequence[str]) -> tuple[int, str]:
        """Return exit code and output of a command in a container; NOT_RUNNING and the reason where it cannot run."""
        try:
            return execute(self.client, part.container, command)
        except APIError as error:
            return NOT_RUNNING, str(error.explanation)

    def sourced(self, script: str, host: str) -> str:
        """Return the shell code that reads a script, as it is: a command runs where the server does."""
        return f". {script}"

    def attach(self, part: Part, command: Sequence[str], *, instead: str, reads: bool) -> NoReturn:
        """Become a command in a container: its input, output, signals and exit code are this process's own."""
        docker_command.attach(self.target, part, command)

    def pipe(self, part: Part, command: Sequence[str], stdin: str) -> CompletedProcess[str]:
        """Run a command in a container with an input, which is on no command line and in no environment."""
        return docker_command.pipe(self.target, part, command, stdin)

    def follow(self, part: Part, command: Sequence[str]) -> tuple[int, str]:
        """Run a command in a container with its progress on stderr, and return its exit code and its output."""
        return docker_command.follow(self.target, part, command)

    def read_file(self, part: Part, path: str) -> str | None:
        """Return the text of a file in a container, running or not; None where there is none."""
        return read_file(self.client, part.container, path)

    def volume_at(self, part: Part, path: str) -> tuple[str, Mapping[str, str]]:
        """Return the name of the volume that a container has at a path; empty where there is none."""
        mounts = (inspect(self.client, part.container) or {}).get("Mounts") or []
        return next((str(mount["Name"]) for mount in mounts if mount.get("Destination") == path), ""), {}

    def create_volume(self, name: str, options: Mapping[str, str], labels: Mapping[str, str]) -> None:
        """Create a volume of Docker's local driver, unless it exists."""
        self.client.api.create_volume(name, driver_opts=dict(options), labels=dict(labels))

    def pull(self, image: str) -> None:
        """Pull an image that Docker Engine does not have."""
        pull_missing(self.client, image, lambda: progress(f"pulling {image}"))

    def run_short_lived(self, spec: ShortLived, beside: Part) -> tuple[int, str]:
        """Return exit code and output of a command in a container of its own."""
        return run_short_lived(self.client, spec)

    def short_lived_log_command(self, spec: ShortLived) -> str:
        """Return the command that follows what such a command prints."""
        return f"docker logs -f {spec.name}"

    def environment(self, part: Part) -> dict[str, str]:
        """Return the environment variables a container was created with."""
        config = (inspect(self.client, part.container) or {}).get("Config") or {}
        return dict(entry.split("=", 1) for entry in config.get("Env") or [] if "=" in entry)

    def memory_bytes(self, part: Part) -> int | None:
        """Return the memory a container uses, without what the kernel drops first, as `docker stats` does."""
        with suppress(APIError):
            stats = self.client.api.stats(part.container, stream=False, one_shot=True)
            memory = stats.get("memory_stats") or {}
            details = memory.get("stats") or {}
            idle = details.get("inactive_file", details.get("total_inactive_file", 0))  # cgroup v2, v1
            return max(0, int(memory["usage"]) - int(idle)) if "usage" in memory else None
        return None

    def image_tag(self, identifier: str) -> str:
        """Return the name of an image, or the beginning of its id where it has none any more."""
        tags = image_report(self.client, identifier).get("RepoTags") or []
        return str(tags[0]) if tags else identifier.removeprefix("sha256:")[:12]

    def log(self, source: Part, *, since_seconds: float, tail: int | None, follow: bool) -> Iterator[tuple[str, str]]:
        """Yield the log of a container as pairs of Docker's timestamp, which sorts as text, and line.

        With `follow` it ends when the container exits.
        """
        chunks = read_log(
            self.client,
            source.container,
            since_seconds=since_seconds,
            tail="all" if tail is None else str(tail),
            follow=follow,
        )
        yield from stamped_lines(chunks)

    def start(self, part: Part) -> None:
        """Start a container; nothing happens to one that runs."""
        self.client.api.start(part.container)

    def stop(self, part: Part) -> None:
        """Stop a container within the stop timeout it was created with."""
        config = (inspect(self.client, part.container) or {}).get("Config") or {}
        self.client.api.stop(part.container, timeout=config.get("StopTimeout"))

    def restart(self, part: Part) -> None:
        """Restart a container within the stop timeout it was created with."""
        restart(self.client, part.container)
