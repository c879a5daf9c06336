"""What the fake plugins' tests share: a small Pulumi project, deployed by the real CLI on a real Docker Engine."""

import json
import os
import secrets
import shutil
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from offline.plugins.install import FAKES, install
from tests.support.pulumi_cli import CommandResult, run_pulumi

HEAD = """\
import pulumi
import pulumi_docker as docker
import pulumi_random as random

IMAGE, PREFIX = {image!r}, {prefix!r}
SETTINGS = pulumi.Config()


def container(name, **properties):
    opts = properties.pop("opts", None)
    properties = {{"command": ["sleep", "600"], "entrypoints": [], "user": "0:0", **properties}}
    return docker.Container(name, name=f"{{PREFIX}}-{{name}}", image=IMAGE, opts=opts, **properties)


def healthcheck(*command, **properties):
    return docker.ContainerHealthcheckArgs(tests=["CMD", *command], interval="1s", timeout="5s", **properties)


"""
PROJECT_FILE = """\
name: fake-plugins
runtime:
  name: python
  options:
    virtualenv: {virtualenv}
"""
TIMEOUT_SECONDS = 180
SECRET = "geheim-4711"  # noqa: S105 - must not be readable anywhere


@dataclass
class Project:
    """A Pulumi project in a folder of its own, with its own state; names of its Docker objects begin with `prefix`."""

    folder: Path
    docker_engine: docker.DockerClient
    image: str
    environment: dict[str, str]
    prefix: str = field(default_factory=lambda: f"fake-plugins-{secrets.token_hex(3)}")

    def write(self, program: str) -> None:
        """Make this the project's program; `container`, `healthcheck`, IMAGE and PREFIX are defined before it."""
        head = HEAD.format(image=self.image, prefix=self.prefix)
        (self.folder / "__main__.py").write_text(head + textwrap.dedent(program))

    def run(self, *command: str) -> CommandResult:
        """Run a pulumi command until it exits."""
        return run_pulumi(*command, folder=self.folder, environment=self.environment, seconds=TIMEOUT_SECONDS)

    def up(self, *options: str, fails: bool = False) -> str:
        """Run `pulumi up` without preview and return what it printed."""
        result = self.run("up", "--yes", "--skip-preview", *options)
        assert (result.code != 0) == fails, f"`pulumi up` exited with {result.code}:\n{result.text}"
        return result.text

    def changes(self, *options: str) -> dict[str, str]:
        """Return what a preview would do with each resource that it does not leave as it is, by name."""
        result = self.run("preview", "--json", *options)
        assert result.code == 0, result.text
        steps = json.loads(result.stdout)["steps"]
        return {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in steps if step["op"] not in ("same", "refresh")}

    def state(self) -> dict[str, dict[str, Any]]:
        """Return the resources in the state by name."""
        content = json.loads((self.folder / "state/.pulumi/stacks/fake-plugins/test.json").read_text())
        resources = content["checkpoint"]["latest"].get("resources", [])
        return {resource["urn"].rsplit("::", 1)[-1]: resource for resource in resources}

    def container(self, name: str) -> Any:  # noqa: ANN401 - the SDK's models are only partly typed
        """Return a container of this project as it is now."""
        return self.docker_engine.containers.get(f"{self.prefix}-{name}")

    def objects(self) -> list[Any]:
        """Return this project's containers, networks and volumes, in the order in which they can be removed."""
        everything = [
            *self.docker_engine.containers.list(all=True, ignore_removed=True),
            *self.docker_engine.networks.list(),
            *self.docker_engine.volumes.list(),
        ]
        return [item for item in everything if str(item.name).startswith(self.prefix)]

    def names(self) -> set[str]:
        """Return the names of this project's Docker objects, without their prefix."""
        return {str(item.name).removeprefix(f"{self.prefix}-") for item in self.objects()}

    def remove_objects(self) -> None:
        """Remove this project's Docker objects."""
        for item in self.objects():
            item.remove(**({"force": True, "v": True} if hasattr(item, "exec_run") else {}))


def create(folder: Path, docker_engine: docker.DockerClient, image: str) -> Project:
    """Return a project with an empty stack and a PULUMI_HOME that holds the fake plugins."""
    (folder / "state").mkdir()
    (folder / "Pulumi.yaml").write_text(PROJECT_FILE.format(virtualenv=sys.prefix))
    install(folder / "home", FAKES)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")},
        "PULUMI_BACKEND_URL": f"file://{folder}/state",
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_CONFIG_PASSPHRASE": "only a test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",  # plugins on PATH would be used instead
    }
    assert shutil.which("pulumi"), "pulumi not found on PATH. Fix: make e2e, or . ./activate"
    project = Project(folder, docker_engine, image, environment)
    result = project.run("stack", "init", "test")
    assert result.code == 0, result.text
    return project
