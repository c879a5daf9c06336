"""A stack of the program, deployed by `pulumi` on Docker Engine, with its project and state in a folder of its own."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

from tests.support.commands import execute, logs, sql, try_sql
from tests.support.ports import free_port
from tests.support.project import PROJECT, ROOT, SIMULATOR_FILE, settings_of
from tests.support.pulumi_cli import CommandResult, run_command, run_pulumi
from tests.support.waiting import until

PASSPHRASE = "end-to-end"  # noqa: S105 - of states that live as long as a test
UP_SECONDS = 900
ADMIN = ("admin", "district")
# The nightly workflow tests official images: with another stack file and a version of DHIS2.
STACK_FILE = os.environ.get("E2E_STACK_FILE", SIMULATOR_FILE)
VERSION = {"version": os.environ["E2E_VERSION"]} if "E2E_VERSION" in os.environ else {}
# Smaller than the defaults, so that several stacks fit on one machine; the simulator needs no more.
SMALL = {"coreMemory": "512", "databaseMemory": "384", "cacheMemory": "64", "readyTimeout": "240"}
# Variables that lead `pulumi` to the stacks of the person who runs this.
PERSONAL = ("PULUMI_STACK", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE_FILE")
UP = ("up", "--yes", "--skip-preview")


@dataclass
class Stack:
    """One stack: project and state in `folder`, which it may share; the checkout's program and virtual environment."""

    name: str
    folder: Path
    docker: DockerClient
    settings: Mapping[str, object] = field(default_factory=dict)
    port: int = 0

    def __post_init__(self) -> None:
        """Lay out the project folder, initialise the stack, write its settings."""
        self.port = self.port or free_port()
        if not self.folder.exists():
            (self.folder / "state").mkdir(parents=True)
            for shared in ("components", ".venv"):
                (self.folder / shared).symlink_to(ROOT / shared)
            for copied in ("Pulumi.yaml", "__main__.py"):
                shutil.copy(ROOT / copied, self.folder)
        small = SMALL if STACK_FILE == SIMULATOR_FILE else {}
        # Building them takes time; the tests about them set it.
        small = small | {"analytics": "false"}
        settings = {**settings_of(STACK_FILE), **VERSION, **small, "port": str(self.port), **self.settings}
        config = {f"{PROJECT}:{key}": value for key, value in settings.items()}
        (self.folder / f"Pulumi.{self.name}.yaml").write_text(yaml.safe_dump({"config": config}))
        self.must("stack", "init", self.name)

    @property
    def prefix(self) -> str:
        """What the names of the stack's Docker objects begin with."""
        return f"{PROJECT}-{self.name}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its `pulumi`, without what leads to other stacks."""
        inherited = {name: value for name, value in os.environ.items() if name not in PERSONAL}
        return inherited | {
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def pulumi(self, *arguments: str, seconds: float = UP_SECONDS) -> CommandResult:
        """Run a pulumi command until it exits."""
        return run_pulumi(*arguments, folder=self.folder, environment=self.environment, seconds=seconds)

    def command(self, *arguments: str, stdin: str = "") -> CommandResult:
        """Run `dhis2-cluster` on the stack until it exits."""
        line, environment = self.command_line(*arguments), self.command_environment
        return run_command(line, folder=self.folder, environment=environment, seconds=UP_SECONDS, stdin=stdin)

    def command_line(self, verb: str, *arguments: str) -> list[str]:
        """Return the command of a verb of `dhis2-cluster`."""
        return [sys.executable, "-m", "cli", verb, "-s", self.name, *arguments]

    @property
    def command_environment(self) -> dict[str, str]:
        """The environment of its `dhis2-cluster`, whose package is in the checkout."""
        return self.environment | {"PYTHONPATH": str(ROOT)}

    def must(self, *arguments: str) -> str:
        """Return the standard output of a pulumi command that must succeed."""
        done = self.pulumi(*arguments)
        assert done.code == 0, f"pulumi {' '.join(arguments)} exited with {done.code}:\n{done.text}"
        return done.stdout

    def set(self, **settings: object) -> None:
        """Change settings with `pulumi config set-all`."""
        self._set("--plaintext", settings)

    def set_secret(self, **settings: str) -> None:
        """Change settings with `pulumi config set-all --secret`."""
        self._set("--secret", settings)

    def unset(self, key: str) -> None:
        """Unset a setting with `pulumi config rm`."""
        self.must("config", "rm", "--stack", self.name, key)

    def up(self, *options: str) -> str:
        """Return the output of a `pulumi up` that must succeed, warnings included."""
        done = self.pulumi(*UP, "--stack", self.name, *options)
        assert done.code == 0, f"pulumi up exited with {done.code}:\n{done.text}"
        return done.text

    def failing_up(self) -> str:
        """Return the output of a `pulumi up` that must fail."""
        done = self.pulumi(*UP, "--stack", self.name)
        assert done.code != 0, f"pulumi up should have failed:\n{done.text}"
        return done.text

    def changes(self, *options: str) -> dict[str, str]:
        """Return the steps of a preview by resource name, without resources that stay the same."""
        done = self.pulumi("preview", "--json", "--stack", self.name, *options)
        assert done.code == 0, done.text
        steps = json.loads(done.stdout)["steps"]
        return {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in steps if step["op"] not in ("same", "read")}

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs with secrets in plain text."""
        return dict(json.loads(self.must("stack", "output", "--json", "--show-secrets", "--stack", self.name)))

    def destroy(self) -> None:
        """Run a `pulumi destroy` that must succeed."""
        self.must("destroy", "--yes", "--skip-preview", "--stack", self.name)

    def remove(self) -> None:
        """Remove everything of the stack from Docker Engine, also after a test that failed; its state stays."""
        for container in self._list({"name": f"^/{self.prefix}-"}):
            container.remove(force=True, v=True)
        for network in self.docker.networks.list(filters={"name": f"^{self.prefix}-"}):
            network.remove()
        for volume in self.docker.volumes.list(filters={"name": f"^{self.prefix}-"}):
            volume.remove(force=True)

    def container(self, part: str) -> Container:
        """Return the container of a part such as `core-1`."""
        return self.docker.containers.get(f"{self.prefix}-{part}")

    def containers(self) -> dict[str, str]:
        """Return the ids of the stack's containers by part."""
        containers = self._list({"label": f"com.docker.compose.project={self.prefix}"})
        return {str(container.name).removeprefix(f"{self.prefix}-"): str(container.id) for container in containers}

    def leftovers(self) -> list[str]:
        """Return the names of all containers, networks and volumes of the stack."""
        filters = {"name": f"{self.prefix}-"}
        containers = [container.name for container in self._list(filters)]
        networks = [network.name for network in self.docker.networks.list(filters=filters)]
        volumes = [volume.name for volume in self.docker.volumes.list(filters=filters)]
        return [str(name) for name in (*containers, *networks, *volumes)]

    def sql(self, statement: str, part: str = "primary") -> str:
        """Return the result of a statement that must succeed in the database of a part."""
        return sql(self.container(part), statement)

    def attempt_sql(self, statement: str, part: str = "primary") -> tuple[int, str]:
        """Return exit code and output of a statement that may fail."""
        return try_sql(self.container(part), statement)

    def wait_sql(self, statement: str, result: str, part: str) -> None:
        """Wait until a statement has a result."""
        until(lambda: self.attempt_sql(statement, part) == (0, result), f"{part} to answer {result} to {statement}")

    def client(self, **options: Any) -> httpx.Client:  # noqa: ANN401 - httpx's own
        """Return an HTTP client of the load balancer."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, **options)

    def inside(self, part: str, *command: str) -> str:
        """Return the output of a command that must succeed in the container of a part."""
        code, output = execute(self.container(part), *command)
        assert code == 0, f"{' '.join(command)} in {part} exited with {code}: {output}"
        return output

    def log(self, part: str) -> str:
        """Return everything the container of a part has logged."""
        return logs(self.container(part))

    def processes(self, part: str) -> dict[int, str]:
        """Return the commands of a container's processes by their ids on this machine."""
        table: Any = self.container(part).top(ps_args="-o pid,comm")
        return {int(pid): command for pid, command in table["Processes"]}

    def is_healthy(self, part: str) -> bool:
        """Return whether the container of a part runs and is healthy."""
        try:
            state = self.container(part).attrs["State"]
        except NotFound:
            return False
        return bool(state["Status"] == "running" and (state.get("Health") or {}).get("Status") == "healthy")

    def wait_healthy(self, *parts: str) -> None:
        """Wait until the containers of these parts are healthy."""
        for part in parts:
            until(lambda part=part: self.is_healthy(part), f"{part} to be healthy")  # type: ignore[misc]

    def _set(self, option: str, settings: Mapping[str, object]) -> None:
        values = [word for key, value in settings.items() for word in (option, f"{key}={value}")]
        self.must("config", "set-all", "--stack", self.name, *values)

    def _list(self, filters: dict[str, str]) -> list[Container]:
        """Return containers, exited ones too; one that is removed meanwhile may be missing."""
        containers: list[Container] = self.docker.containers.list(all=True, filters=filters, ignore_removed=True)
        return containers


def log_in(stack: Stack, password: str = ADMIN[1]) -> httpx.Cookies:
    """Return the cookies of the user admin, who has logged in through the load balancer."""
    with stack.client() as client:
        response = client.post("/api/auth/login", json={"username": ADMIN[0], "password": password})
        assert response.status_code == httpx.codes.OK, response.text
        return client.cookies
