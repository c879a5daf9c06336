"""The stack a verb works on: which one, its settings, and where Pulumi keeps it."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import yaml

from cli.errors import CommandError
from components.settings.model import Settings
from components.settings.parsing import SettingsError
from tools import choices, environment
from tools.images import settings_of
from tools.naming import naming
from tools.paths import PROJECT, ROOT
from tools.terminal import ToolError, attempt


@dataclass(frozen=True, kw_only=True)
class Target:
    """A stack by its name in Pulumi, the folder of its Pulumi project, and its settings without secrets.

    `environment` is that of the commands a verb starts: with the project's tools on PATH and Pulumi's variables.
    """

    stack: str
    folder: Path
    environment: Mapping[str, str]
    settings: Settings

    @property
    def prefix(self) -> str:
        """What the names of the stack's Docker objects begin with."""
        return naming(self.stack).prefix

    @property
    def docker_host(self) -> str | None:
        """The Docker Engine of the stack: its `dockerHost`, DOCKER_HOST or that of the Docker context."""
        return self.settings.docker_host or self.environment.get("DOCKER_HOST")

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs, with secrets in plain text. Raises CommandError."""
        done = self._pulumi("output", "--json", "--show-secrets", "--stack", self.stack)
        if done.returncode:
            raise CommandError(
                f"the outputs of stack {self.stack} cannot be read: {_last_line(done.stderr)}. Check it: pulumi stack output --stack {self.stack}"
            )
        return dict(json.loads(done.stdout))

    def set_secret(self, key: str, value: str) -> str:
        """Set a secret setting, which is on no command line; return why that failed, or nothing."""
        command = ["pulumi", "config", "set", "--secret", "--stack", self.stack, key]
        done = attempt(command, self.environment, stdin=value, folder=self.folder)
        return _last_line(done.stderr) if done.returncode else ""

    def secret(self, key: str) -> str:
        """Return a secret setting in plain text. Raises CommandError where there is none."""
        done = attempt(["pulumi", "config", "get", "--stack", self.stack, key], self.environment, folder=self.folder)
        if done.returncode:
            raise CommandError(
                f"the setting {key} cannot be read: {_last_line(done.stderr)}. Set it: pulumi config set --secret {key} -s {self.stack}"
            )
        return done.stdout.removesuffix("\n")

    def swarm_secret(self, name: str) -> str:
        """Return the text of a secret that was deployed to a swarm, from Pulumi's state. Raises CommandError."""
        done = self._pulumi("export", "--show-secrets", "--stack", self.stack)
        if done.returncode:
            raise CommandError(
                f"the state of stack {self.stack} cannot be read: {_last_line(done.stderr)}. Check it: pulumi stack export --stack {self.stack}"
            )
        resources = json.loads(done.stdout)["deployment"].get("resources") or []
        found = next((each["inputs"] for each in resources if _is_secret(each, name)), None)
        if found is None:
            raise CommandError(
                f"the state of stack {self.stack} has not the secret {name}, which the swarm has. Deploy it again: pulumi up --refresh -s {self.stack}"
            )
        return base64.b64decode(_plain(found["data"])).decode()

    def up(self) -> str:
        """Run `pulumi up` with its output on stderr; return why that failed, or nothing."""
        command = ["pulumi", "up", "--yes", "--skip-preview", "--stack", self.stack]
        done = subprocess.run(command, cwd=self.folder, env=dict(self.environment), stdout=sys.stderr, check=False)
        return f"pulumi up exited with {done.returncode}" if done.returncode else ""

    def not_deployed(self, missing: str) -> CommandError:
        """Return the error for a stack that has nothing where it should be: `missing` says so."""
        listed = self._pulumi("ls", "--json")
        names = [str(stack["name"]) for stack in json.loads(listed.stdout)] if listed.returncode == 0 else []
        if names and self.stack not in names:
            return CommandError(
                f"there is no stack {self.stack}. Stacks: {', '.join(names)}. Name one: -s {names[0]}, or deploy it: make up STACK={self.stack}"
            )
        return CommandError(f"stack {self.stack} {missing}. Deploy it: make up STACK={self.stack}")

    def _pulumi(self, *arguments: str) -> CompletedProcess[str]:
        return _pulumi_stack(self.environment, self.folder, *arguments)


def find(requested: str = "") -> Target:
    """Return the stack of -s, of PULUMI_STACK, or the one selected in Pulumi. Raises CommandError when there is none.

    The Pulumi project is that of the current folder, as for `pulumi`; elsewhere that of this checkout.
    """
    folder = project_folder(Path.cwd())
    try:
        completed = environment.complete(os.environ, choices.AUTO)
        name = requested or completed.get("PULUMI_STACK") or _selected(completed, folder)
        settings = settings_of(name, folder)
    except (ToolError, SettingsError) as error:
        raise CommandError(str(error)) from error
    return Target(stack=name, folder=folder, environment=completed, settings=settings)


def project_folder(start: Path) -> Path:
    """Return the nearest folder upward with this project's Pulumi.yaml; the checkout where there is none."""
    for folder in (start, *start.parents):
        path = folder / "Pulumi.yaml"
        if path.is_file():
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            if isinstance(content, dict) and content.get("name") == PROJECT:
                return folder
    return ROOT


def stack_names(folder: Path) -> list[str]:
    """Return the stacks that have a stack file."""
    return sorted(path.name.split(".")[1] for path in folder.glob("Pulumi.*.yaml"))


def _selected(environment_: Mapping[str, str], folder: Path) -> str:
    done = _pulumi_stack(environment_, folder, "--show-name")
    if done.returncode:
        raise CommandError(
            f"no stack is selected ({_last_line(done.stderr)}). Select one: pulumi stack select dev, or name it: -s dev"
        )
    return done.stdout.strip()


def _pulumi_stack(environment_: Mapping[str, str], folder: Path, *arguments: str) -> CompletedProcess[str]:
    """Run `pulumi stack` in a project. Raises CommandError where there is no pulumi."""
    try:
        return attempt(["pulumi", "stack", *arguments], environment_, folder=folder)
    except ToolError as error:
        raise CommandError(f"{error}. To make it available: make up, then . ./activate") from error


def _is_secret(resource: Mapping[str, Any], name: str) -> bool:
    is_one = resource.get("type") == "docker:index/secret:Secret"
    return is_one and _plain((resource.get("inputs") or {}).get("name")) == name


def _plain(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return the text of a value in Pulumi's state, which has that of a secret as JSON of its own."""
    return str(json.loads(value["plaintext"]) if isinstance(value, dict) else value)


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "pulumi reported nothing")
