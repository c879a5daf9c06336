"""The decisions of `make`: pure functions of what environment.py has probed on the machine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from tools.terminal import ToolError

AUTO, ALWAYS, NEVER = "auto", "always", "never"
OFFLINE_PULUMI = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
}


def offline_mode(text: str) -> str:
    """Return auto, always or never, the values of OFFLINE; raises ToolError for anything else."""
    mode = text.strip() or AUTO
    if mode not in (AUTO, ALWAYS, NEVER):
        raise ToolError(
            f"OFFLINE={text} is none of always, never and auto. For example: make up OFFLINE={AUTO}\n  always: nothing is fetched from pulumi.com or an image registry, all is built here\n  never:  the official tools and images or an error;  auto: those where they can be had"
        )
    return mode


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The probed machine: the environment, what Pulumi remembers, and what is in the checkout.

    `login` is the backend of an earlier `pulumi login`, `own_stacks` are those in the checkout's state folder,
    `own_home` says that the checkout has a PULUMI_HOME, `plugin_at_home` that the person's own has a docker plugin.
    """

    environment: Mapping[str, str]
    login: str = ""
    own_stacks: Sequence[str] = ()
    own_home: bool = False
    plugin_at_home: bool = False
    own_passphrase: bool = False
    foreign_salt: bool = False
    docker_host: str = ""
    fake_plugins: bool = False


def backend(machine: Machine) -> tuple[str, str]:
    """Return the state backend's URL ("" = the checkout's own) and why it is that one.

    In this order: an explicit variable; stacks that were deployed from this checkout, which a later login for other
    work would otherwise deploy a second time; that login.
    """
    named = machine.environment.get("PULUMI_BACKEND_URL")
    if named:
        return named, "PULUMI_BACKEND_URL"
    if machine.environment.get("PULUMI_ACCESS_TOKEN"):
        return "https:", "PULUMI_ACCESS_TOKEN"
    if machine.own_stacks:
        return "", f"it holds {', '.join(machine.own_stacks)}"
    if machine.login:
        return machine.login, "pulumi login"
    return "", "no other was chosen"


def additions(machine: Machine, mode: str, root: PurePath) -> dict[str, str]:
    """Return the variables `make` and `activate` add to the environment; none that is set already is among them."""
    environment = machine.environment
    url, _ = backend(machine)
    own_url = f"file://{root / '.pulumi-state'}"
    own = url in ("", own_url)
    added: dict[str, str] = {}
    if own:
        added["PULUMI_BACKEND_URL"] = own_url
        # A home in the checkout leaves nothing elsewhere; in a person's own the plugin need not be downloaded again.
        if machine.own_home or not machine.plugin_at_home:
            added["PULUMI_HOME"] = str(root / ".tools" / "home")
    is_service = url.startswith(("http:", "https:"))
    passphrase_set = "PULUMI_CONFIG_PASSPHRASE" in environment or environment.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    # A salt without the checkout's passphrase file belongs to another passphrase: pulumi asks for it.
    foreign_passphrase = machine.foreign_salt and not own and not machine.own_passphrase
    if not (is_service or passphrase_set or foreign_passphrase):
        added["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(root / ".passphrase")
    if machine.fake_plugins or mode == ALWAYS:
        added |= OFFLINE_PULUMI
    if machine.docker_host:
        added["DOCKER_HOST"] = machine.docker_host
    return {name: value for name, value in added.items() if not environment.get(name)}


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The stack to work on and the one line that says why."""

    name: str
    why: str


def named_stack(requested: str, variable: str, selected: str) -> Stack | None:
    """Return the stack of STACK=, of PULUMI_STACK, or the one selected in Pulumi; None when there is none."""
    for name, why in ((requested, "STACK"), (variable, "PULUMI_STACK"), (selected, "selected before")):
        if name:
            return Stack(name=name, why=why)
    return None


def stack_to_deploy(requested: str, variable: str, selected: str, mode: str) -> Stack | None:
    """Return the stack that `make up` deploys; None when it depends on what the registries answer.

    OFFLINE=always and OFFLINE=never choose between `offline` and `dev` only: any other selected stack stays selected.
    """
    by_mode = {
        ALWAYS: Stack(name="offline", why="OFFLINE=always; images built here, DHIS2 is a simulator"),
        NEVER: Stack(name="dev", why="OFFLINE=never; real images"),
    }.get(mode)
    if by_mode and not requested and not variable and selected in ("", "dev", "offline"):
        return by_mode
    return named_stack(requested, variable, selected)


def stack_by_images(reasons: Mapping[str, str]) -> Stack:
    """Return `dev`, or `offline` where images of dev are neither here nor can be pulled (image: reason)."""
    if not reasons:
        return Stack(name="dev", why="its images can be pulled or are here")
    image, reason = next(iter(reasons.items()))
    more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    built = "images built here, DHIS2 is a simulator"
    return Stack(name="offline", why=f"{image}{more} cannot be pulled ({reason}); {built}")


def way_to_built_images(stack: str) -> str:
    """Return how a stack gets images built here, for where no registry can be reached."""
    if stack == "dev":
        return "with images built here: make up OFFLINE=always"
    return f"settings with images built here are in Pulumi.offline.yaml; copy them into Pulumi.{stack}.yaml"


def built_images(stack_file_text: str) -> list[str]:
    """Return the images in a stack file that offline/ builds, by full name."""
    return sorted(set(re.findall(r"\bdhis2-cluster/[\w.-]+:[\w.-]+", stack_file_text)))


def uses_sample_dump(stack_file_text: str) -> bool:
    """Return whether a stack file names the dump that offline/ generates."""
    return ".offline/" in stack_file_text
