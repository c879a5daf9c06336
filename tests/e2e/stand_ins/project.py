"""What the stand-in tests share: a small Pulumi project of their own, run by the real CLI on the real engine."""

import json
import os
import secrets
import shutil
import subprocess
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

HEAD = """\
import pulumi
import pulumi_docker as docker
import pulumi_random as random

IMAGE, PREFIX = {image!r}, {prefix!r}
SETTINGS = pulumi.Config()


def box(name, **given):
    opts = given.pop("opts", None)
    given = {{"command": ["sleep", "600"], "entrypoints": [], "user": "0:0", **given}}
    return docker.Container(name, name=f"{{PREFIX}}-{{name}}", image=IMAGE, opts=opts, **given)


def check(test, **given):
    return docker.ContainerHealthcheckArgs(tests=test, interval="1s", timeout="5s", retries=2, **given)


"""
TIMEOUT_SECONDS = 180
SECRET = "geheim-4711"  # noqa: S105 - must be found nowhere again


@dataclass(frozen=True)
class Ran:
    """How a pulumi command ended."""

    code: int
    text: str


@dataclass
class Project:
    """A Pulumi project in a folder of its own, with its own state; names of Docker objects begin with `prefix`."""

    folder: Path
    engine: docker.DockerClient
    image: str
    environment: dict[str, str]
    prefix: str = field(default_factory=lambda: f"stand-in-{secrets.token_hex(3)}")

    def write(self, program: str) -> None:
        """Make this the project's program; `box`, `check`, IMAGE and PREFIX are defined before it."""
        head = HEAD.format(image=self.image, prefix=self.prefix)
        (self.folder / "__main__.py").write_text(head + textwrap.dedent(program))

    def run(self, *command: str) -> Ran:
        """Run pulumi; the caller judges how it ended."""
        done = subprocess.run(
            ["pulumi", *command, "--non-interactive", "--color", "never"],
            cwd=self.folder,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        return Ran(done.returncode, done.stdout + done.stderr)

    def up(self, *options: str, fails: bool = False) -> str:
        """Run `pulumi up` without preview and return what it printed."""
        ran = self.run("up", "--yes", "--skip-preview", *options)
        assert (ran.code != 0) == fails, f"`pulumi up` ended with {ran.code}:\n{ran.text}"
        return ran.text

    def plan(self, *options: str) -> dict[str, str]:
        """Return what a preview would do to each resource that is not left as it is, by name."""
        done = self.run("preview", "--json", *options)
        assert done.code == 0, done.text
        steps = json.JSONDecoder().raw_decode(done.text[done.text.index("{") :])[0]["steps"]
        return {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in steps if step["op"] not in ("same", "refresh")}

    def state(self) -> dict[str, dict[str, Any]]:
        """Return the state's resources by name."""
        kept = json.loads((self.folder / "state/.pulumi/stacks/stand-ins/test.json").read_text())
        resources = kept["checkpoint"]["latest"].get("resources", [])
        return {each["urn"].rsplit("::", 1)[-1]: each for each in resources}

    def container(self, name: str) -> Any:  # noqa: ANN401 - the SDK's models are only partly typed
        """Return a container of this project as it is now."""
        return self.engine.containers.get(f"{self.prefix}-{name}")

    def names(self) -> set[str]:
        """Return the names of this project's Docker objects, without their prefix."""
        found = [each.name for each in self.engine.containers.list(all=True, ignore_removed=True)]
        found += [each.name for each in self.engine.networks.list()] + [
            each.name for each in self.engine.volumes.list()
        ]
        return {name.removeprefix(f"{self.prefix}-") for name in found if name and name.startswith(self.prefix)}

    def remove(self) -> None:
        """Remove whatever is left on the engine."""
        for container in self.engine.containers.list(all=True, ignore_removed=True):
            if str(container.name).startswith(self.prefix):
                container.remove(force=True, v=True)
        for network in self.engine.networks.list():
            if str(network.name).startswith(self.prefix):
                network.remove()
        for volume in self.engine.volumes.list():
            if str(volume.name).startswith(self.prefix):
                volume.remove(force=True)


def make(folder: Path, engine: docker.DockerClient, image: str, executables: Path) -> Project:
    """Return a project with an empty stack that finds the stand-ins of `executables` before any other."""
    (folder / "state").mkdir()
    (folder / "Pulumi.yaml").write_text("name: stand-ins\nruntime: python\n")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")},
        "PATH": os.pathsep.join([str(executables), os.environ["PATH"]]),
        "PULUMI_BACKEND_URL": f"file://{folder}/state",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_CONFIG_PASSPHRASE": "only a test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    assert shutil.which("pulumi"), "no pulumi on PATH; `make e2e` sees to it, as does: . ./activate"
    project = Project(folder, engine, image, environment)
    made = project.run("stack", "init", "test")
    assert made.code == 0, made.text
    return project
