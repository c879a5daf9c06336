"""`make up`, `down` and `recover`: what leads to a plain `pulumi up` and back."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial

from components.dhis2.release import resolve_release
from components.settings.parsing import SettingsError
from tools import (
    choices,
    debian,
    engine,
    environment,
    foreign_containers,
    images,
    pulumi_tools,
    recovery,
)
from tools.choices import Stack
from tools.paths import SAMPLE_DUMP, STATE, stack_file
from tools.terminal import INTERRUPTED, ToolError, attached, attempt, capture, report, stream, together


class Session:
    """One run of `make up`, `down` or `recover`: its options, and what was decided so far."""

    def __init__(self, environment_: Mapping[str, str]) -> None:
        """Take the caller's environment, in which STACK, OFFLINE and ARGS are the options of the make command."""
        self.inherited = {
            name: value for name, value in environment_.items() if name not in ("STACK", "OFFLINE", "ARGS")
        }
        self.mode = choices.offline_mode(environment_.get("OFFLINE", ""))
        try:
            self.arguments = shlex.split(environment_.get("ARGS", ""))
        except ValueError as error:
            raise ToolError(
                f"ARGS={environment_['ARGS']} cannot be split into words: {error}. Check its quotes"
            ) from error
        self.requested = environment_.get("STACK", "").strip()
        self.env = environment.complete(self.inherited, self.mode)
        recovery.remove_empty_attributes(self.env)  # or pulumi cannot report the selected stack
        self.host = engine.DEFAULT
        self.stack: Stack | None = None

    def up(self) -> int:
        """Deploy and return pulumi's exit code."""
        self.stack = choices.stack_to_deploy(
            self.requested, self.inherited.get("PULUMI_STACK", ""), self._selected(), self.mode
        )
        together({"tools": self._tools, "engine": self._engine_and_images})
        self._enter()
        stack = self._known()
        code = attached(["pulumi", "up", "--yes", "--stack", stack.name, *self.arguments], self.env)
        if code == 0:
            url = attempt(["pulumi", "stack", "output", "url", "--stack", stack.name], self.env).stdout.strip()
            print()
            if url:
                report("ready", url)
            report(
                "next", ". ./activate      and then plain Pulumi, for example: pulumi config set cores 2 && pulumi up"
            )
        elif code != INTERRUPTED:
            self._explain()
        return code

    def down(self) -> int:
        """Destroy the stack that is selected or named and return pulumi's exit code."""
        if self._is_own_backend() and not environment.own_stacks():
            report("stack", f"none was made from this folder ({STATE.name} is empty): there is nothing to remove")
            return 0
        self._tools()
        self.stack = self._named()
        if not self.stack:
            report("stack", "none is selected: there is nothing to remove. Another one: make down STACK=name")
            return 0
        self.host = engine.ensure(self.env, self._docker_host())
        self._enter(create=False)
        kept = str(images.raw_settings(self.stack.name).get("dhis2-cluster:keepData")).lower() == "true"
        foreign_containers.warn(self.host, self.stack.name, volumes=not kept)
        return attached(["pulumi", "destroy", "--yes", "--stack", self.stack.name, *self.arguments], self.env)

    def recover(self) -> int:
        """Put the stack in order after a killed run, without deploying."""
        self._tools()
        self.stack = self._named()
        if not self.stack:
            report("stack", "none is selected: there is nothing to put in order. Another one: make recover STACK=name")
            return 0
        self.host = engine.ensure(self.env, self._docker_host())
        self._enter(create=False)
        report("recover", f"stack {self.stack.name} is in order")
        return 0

    def _explain(self) -> None:
        """After a failure, log how to run the commands that its messages name, and where images cannot be pulled."""
        print()
        stack = self._known().name
        reasons = {} if self.mode == choices.NEVER else self._unavailable(stack)
        # Where the images of dev can be pulled, the registries are reachable and this image is the problem.
        if reasons and (stack == "dev" or self._unavailable("dev")):
            image, reason = next(iter(reasons.items()))
            report("next", f"{image} cannot be pulled ({reason}); {choices.way_to_built_images(stack)}")
        if not shutil.which("pulumi", path=self.inherited.get("PATH")):
            report("next", ". ./activate      makes the pulumi commands above work in this shell; then again: make up")

    def _is_own_backend(self) -> bool:
        return self.env.get("PULUMI_BACKEND_URL") == f"file://{STATE}"

    def _selected(self) -> str:
        if not shutil.which("pulumi", path=self.env["PATH"]):
            # Without it, the stack that is deployed from here is the selected one.
            live = [name for name, number in environment.own_stacks().items() if number]
            return live[0] if len(live) == 1 and self._is_own_backend() else ""
        without = {name: value for name, value in self.env.items() if name != "PULUMI_STACK"}
        return attempt(["pulumi", "stack", "--show-name"], without).stdout.strip()

    def _named(self) -> Stack | None:
        return choices.named_stack(self.requested, self.inherited.get("PULUMI_STACK", ""), self._selected())

    def _tools(self) -> None:
        pulumi_tools.ensure(self.env, self.mode)
        # Fake plugins keep pulumi from the network.
        self.env = environment.complete(self.inherited, self.mode)

    def _engine_and_images(self) -> None:
        self.host = engine.ensure(self.env, self._docker_host())
        if not self.stack:
            self.stack = choices.stack_by_images(self._unavailable("dev"))
        elif not stack_file(self.stack.name).exists() and self._cannot_have_real_images():
            shutil.copyfile(stack_file("offline"), stack_file(self.stack.name))
            why = f"{self.stack.why}; new, with the settings of offline: no real images here"
            self.stack = Stack(name=self.stack.name, why=why)
        report("stack", f"{self.stack.name}: {self.stack.why}")
        path = stack_file(self.stack.name)
        text = path.read_text() if path.exists() else ""
        build({**self.env, "DOCKER_HOST": self.host}, choices.built_images(text), choices.uses_sample_dump(text))

    def _cannot_have_real_images(self) -> bool:
        if self.mode == choices.AUTO:
            return bool(self._unavailable(self._known().name))
        return self.mode == choices.ALWAYS

    def _unavailable(self, stack: str) -> dict[str, str]:
        try:
            settings = images.settings_of(stack)
            core = resolve_release(settings.version, settings.image, settings.dump_url).image
        except (SettingsError, ValueError):
            return {}  # the program lists all setting errors
        return images.missing(
            self.host, [settings.load_balancer_image, core, settings.database_image, settings.cache_image]
        )

    def _docker_host(self) -> str:
        return str(images.raw_settings(self.stack.name if self.stack else "dev").get("dhis2-cluster:dockerHost") or "")

    def _enter(self, create: bool = True) -> None:
        """Put the stack in order; with `create`, make it where it does not exist and select it."""
        stack = self._known()
        if self.host != engine.DEFAULT and not self._docker_host():
            self.env["DOCKER_HOST"] = self.host
        if "PULUMI_STACK" in self.env:
            self.env["PULUMI_STACK"] = stack.name  # or it would override what is selected here
        _, why = choices.backend(environment.machine(self.inherited))
        place = self.env.get("PULUMI_BACKEND_URL", "the backend pulumi is logged in to")
        report("state", f"in {STATE.name}" if self._is_own_backend() else f"in {place} ({why})")
        environment.hide_salts()
        if create:
            capture(["pulumi", "stack", "select", "--create", stack.name], self.env)
        environment.refresh_git_status()
        recovery.recover(self.env, stack.name, self.host)

    def _known(self) -> Stack:
        if not self.stack:
            raise ToolError("no stack is chosen. Name one: make up STACK=dev")
        return self.stack


def build(env: Mapping[str, str], images: Sequence[str], sample_dump: bool) -> None:
    """Make images of offline/ present, by recipe or full name, and the sample dump; seconds when they already are."""
    started = time.monotonic()
    jobs = {}
    if images:
        if any("simulator" in image for image in images):
            debian.need({"mvn": "maven"}, "the DHIS2 simulator's build")
        jobs["images"] = partial(stream, "images", [sys.executable, "-m", "offline.images", *images], env)
    if sample_dump and not SAMPLE_DUMP.exists():
        SAMPLE_DUMP.parent.mkdir(exist_ok=True)
        write_dump = [sys.executable, "-m", "offline.dump", os.path.relpath(SAMPLE_DUMP)]
        jobs["dump"] = partial(stream, "dump", write_dump, env)
    together(jobs)
    if jobs:
        report("images", "all present", started)
