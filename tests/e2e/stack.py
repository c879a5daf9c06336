"""A stack of the real program, driven by the real `pulumi` on the real engine, with everything of it in a folder."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import httpx
import yaml
from docker.errors import NotFound
from docker.models.containers import Container

ROOT = Path(__file__).parents[2]
PROJECT = "dhis2-cluster"
PASSPHRASE = "end-to-end"  # noqa: S105 - of states that live as long as a test
UP_SECONDS = 900
ADMIN = ("admin", "district")
# Smaller than a person's, so that several stacks fit on one machine; the simulator needs no more.
SMALL = {"coreMemory": "512", "databaseMemory": "384", "cacheMemory": "64", "readyTimeout": "240"}


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code, what it printed, and that with its errors."""

    code: int
    printed: str
    text: str


@dataclass
class Stack:
    """One stack: its own project folder and state below `folder`, the checkout's program and virtual environment."""

    name: str
    folder: Path
    engine: docker.DockerClient
    settings: Mapping[str, object] = field(default_factory=dict)
    port: int = 0

    def __post_init__(self) -> None:
        """Lay out the project folder, make the stack, set its settings."""
        self.port = self.port or free_port()
        self.folder.mkdir(parents=True)
        (self.folder / "state").mkdir()
        for shared in ("components", ".venv"):
            (self.folder / shared).symlink_to(ROOT / shared)
        for copied in ("Pulumi.yaml", "__main__.py"):
            shutil.copy(ROOT / copied, self.folder)
        offline = yaml.safe_load((ROOT / "Pulumi.offline.yaml").read_text())["config"]
        wanted = {key.split(":")[1]: value for key, value in offline.items()} | SMALL | {"port": str(self.port)}
        config = {f"{PROJECT}:{key}": value for key, value in {**wanted, **self.settings}.items()}
        (self.folder / f"Pulumi.{self.name}.yaml").write_text(yaml.safe_dump({"config": config}))
        self.must("stack", "init", self.name)

    @property
    def prefix(self) -> str:
        """What the names of the stack's Docker objects begin with."""
        return f"{PROJECT}-{self.name}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its `pulumi`: nothing of the person who runs the tests."""
        own = {
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        return {**{key: value for key, value in os.environ.items() if key != "PULUMI_STACK"}, **own}

    def pulumi(self, *words: str, seconds: float = UP_SECONDS) -> Ended:
        """Run a pulumi command to its end."""
        command = ["pulumi", "--non-interactive", "--color=never", *words]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stdout + done.stderr)

    def must(self, *words: str) -> str:
        """What a pulumi command printed; it has to succeed."""
        done = self.pulumi(*words)
        assert done.code == 0, f"pulumi {' '.join(words)} ended with {done.code}:\n{done.text}"
        return done.printed

    def set(self, **settings: object) -> None:
        """Change settings, as a person does."""
        for key, value in settings.items():
            self.must("config", "set", "--stack", self.name, key, "--", str(value))

    def up(self, *words: str) -> str:
        """Deploy; it has to succeed. What it printed, warnings included."""
        done = self.pulumi("up", "--yes", "--skip-preview", "--stack", self.name, *words)
        assert done.code == 0, f"up ended with {done.code}:\n{done.text}"
        return done.text

    def failing_up(self) -> str:
        """Deploy; it has to fail. What it printed."""
        done = self.pulumi("up", "--yes", "--skip-preview", "--stack", self.name)
        assert done.code != 0, f"it should have failed:\n{done.text}"
        return done.text

    def changes(self, *words: str) -> dict[str, str]:
        """What a preview would do, by resource name; what stays the same is left out."""
        done = self.pulumi("preview", "--json", "--stack", self.name, *words)
        assert done.code == 0, done.text
        steps = json.loads(done.printed)["steps"]
        return {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in steps if step["op"] not in ("same", "read")}

    def killed_up(self, when: Callable[[], bool]) -> None:
        """Begin to deploy, and end everything of it by force as soon as `when` is true."""
        process = subprocess.Popen(
            ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "--stack", self.name],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_until(when, "the moment to kill the deployment", until=lambda: process.poll() is not None)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets in clear."""
        found: dict[str, Any] = json.loads(
            self.must("stack", "output", "--json", "--show-secrets", "--stack", self.name)
        )
        return found

    def destroy(self) -> None:
        """Remove everything of the stack."""
        self.must("destroy", "--yes", "--skip-preview", "--stack", self.name)

    def remove(self) -> None:
        """End what is left, also after a test that failed; for a fixture's end."""
        self.pulumi("cancel", "--yes", "--stack", self.name)
        self.pulumi("destroy", "--yes", "--skip-preview", "--stack", self.name)
        for container in self._list({"name": f"^/{self.prefix}-"}):
            container.remove(force=True, v=True)
        for network in self.engine.networks.list(filters={"name": f"^{self.prefix}-"}):
            network.remove()
        for volume in self.engine.volumes.list(filters={"name": f"^{self.prefix}-"}):
            volume.remove(force=True)

    def container(self, part: str) -> Container:
        """The container of a part such as `core-1`."""
        return self.engine.containers.get(f"{self.prefix}-{part}")

    def containers(self) -> dict[str, str]:
        """Ids of the stack's containers by part."""
        found = self._list({"label": f"com.docker.compose.project={self.prefix}"})
        return {str(each.name).removeprefix(f"{self.prefix}-"): str(each.id) for each in found}

    def _list(self, filters: dict[str, str]) -> list[Container]:
        """Containers, ended ones too; one that comes or goes meanwhile may be missing."""
        found: list[Container] = self.engine.containers.list(all=True, filters=filters, ignore_removed=True)
        return found

    def leftovers(self) -> list[str]:
        """Names of everything of the stack the engine has."""
        mine = {"name": f"{self.prefix}-"}
        containers = [each.name for each in self._list(mine)]
        networks = [each.name for each in self.engine.networks.list(filters=mine)]
        volumes = [each.name for each in self.engine.volumes.list(filters=mine)]
        return [str(name) for name in [*containers, *networks, *volumes]]

    def sql(self, text: str, part: str = "primary") -> str:
        """The answer of a database to a statement, run as superuser inside its container."""
        code, output = self.attempt_sql(text, part)
        assert code == 0, f"{part}: {text}: {output}"
        return output

    def attempt_sql(self, text: str, part: str = "primary") -> tuple[int, str]:
        """Exit code and output of a statement that may fail."""
        psql = ["psql", "-h", "/var/run/postgresql", "-U", "postgres", "-d", "dhis", "-XAtq", "-c", text]
        code, output = self.container(part).exec_run(psql)
        return int(code or 0), bytes(output).decode().strip()

    def wait_sql(self, text: str, answer: str, part: str) -> None:
        """Return when a database answers a statement so."""
        wait_until(lambda: self.attempt_sql(text, part) == (0, answer), f"{part} to answer {answer} to {text}")

    def client(self, **options: Any) -> httpx.Client:  # noqa: ANN401 - httpx's own
        """An HTTP client of the load balancer."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, **options)

    def inside(self, part: str, *command: str) -> str:
        """Output of a command in a container; it has to succeed."""
        code, output = self.container(part).exec_run(list(command))
        assert code == 0, f"{part}: {command}: {bytes(output).decode()}"
        return bytes(output).decode()

    def log(self, part: str) -> str:
        """Everything a container has logged."""
        return self.container(part).logs().decode(errors="replace")

    def processes(self, part: str) -> dict[int, str]:
        """The processes of a part's container: this machine's ids, and their commands."""
        found: Any = self.container(part).top(ps_args="-o pid,comm")
        return {int(pid): command for pid, command in found["Processes"]}

    def is_healthy(self, part: str) -> bool:
        """Whether a part's own health check passes now."""
        try:
            state = self.container(part).attrs["State"]
        except NotFound:
            return False
        return bool(state["Status"] == "running" and (state.get("Health") or {}).get("Status") == "healthy")

    def wait_healthy(self, *parts: str) -> None:
        """Return when these parts are healthy."""
        for part in parts:
            wait_until(lambda part=part: self.is_healthy(part), f"{part} to be healthy")  # type: ignore[misc]


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    condition: Callable[[], object],
    what: str,
    seconds: float = 180,
    until: Callable[[], bool] = lambda: False,
) -> None:
    """Return when `condition` is true; fails after `seconds`, which bound a hang and promise nothing."""
    end = time.monotonic() + seconds
    while not condition():
        assert not until(), f"too late for {what}"
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.2)
