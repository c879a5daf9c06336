"""Reads what `choices` decides upon, and makes the environment that `make` and `activate` run commands in."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from offline.plugins.install import installed, is_fake
from tools import choices, docker_context
from tools.paths import BIN, PASSPHRASE, PROJECT, PULUMI_HOME, ROOT, STATE, VENV
from tools.stack_file import has_salt, without_idle_salt
from tools.terminal import ToolError, attempt


def own_stacks() -> dict[str, int]:
    """Return the stacks in the checkout's state folder with the number of resources each still has."""
    stacks = {}
    for path in sorted((STATE / ".pulumi" / "stacks" / PROJECT).glob("*.json")):
        latest = (json.loads(path.read_text()).get("checkpoint") or {}).get("latest") or {}
        created = [item for item in latest.get("resources", []) if item.get("custom") and not _is_provider(item)]
        stacks[path.stem] = len(created) + len(latest.get("pending_operations", []))
    return stacks


def pulumi_home(environment: Mapping[str, str]) -> Path:
    """Return the folder in which Pulumi keeps its plugins and what it remembers."""
    return Path(environment.get("PULUMI_HOME") or Path(environment.get("HOME") or "~").expanduser() / ".pulumi")


def fake_plugins(home: Path) -> list[Path]:
    """Return the executables of the fake plugins that were installed into a PULUMI_HOME or into the checkout.

    In .tools/bin everything but `pulumi` itself is one, also what an older version of this checkout has left there.
    """
    return [*BIN.glob("pulumi-*"), *{path: None for folder in (home, PULUMI_HOME) for path in installed(folder)}]


def machine(environment: Mapping[str, str]) -> choices.Machine:
    """Probe this machine; the caller's environment is the one that counts, not the interpreter's."""
    home = pulumi_home(environment)
    return choices.Machine(
        environment=environment,
        login=_login(home),
        own_stacks=tuple(own_stacks()),
        own_home=PULUMI_HOME.exists(),
        plugin_at_home=any(
            not is_fake(path) for path in home.glob("plugins/resource-docker-v*/pulumi-resource-docker")
        ),
        own_passphrase=PASSPHRASE.exists(),
        foreign_salt=any(has_salt(path.read_text()) for path in ROOT.glob("Pulumi.*.yaml")),
        docker_host=docker_context.current_host(environment),
        fake_plugins=bool(fake_plugins(home)),
    )


def complete(environment: Mapping[str, str], mode: str) -> dict[str, str]:
    """Return the environment with the project's own tools on PATH and the variables that were not set.

    Makes the state folder and the passphrase they name, so that plain `pulumi` works from then on.
    """
    added = choices.additions(machine(environment), mode, ROOT)
    if added.get("PULUMI_BACKEND_URL"):
        STATE.mkdir(exist_ok=True)
        hide_salts()
    if added.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        ensure_passphrase()
    if added.get("PULUMI_HOME"):
        PULUMI_HOME.mkdir(parents=True, exist_ok=True)
    return {**environment, **added, "PATH": own_path(environment.get("PATH", os.defpath))}


def own_path(path: str) -> str:
    """Return PATH with the virtual environment first and the checkout's tools last: a person's own are used first."""
    others = [part for part in path.split(os.pathsep) if part not in (str(VENV / "bin"), str(BIN))]
    return os.pathsep.join([str(VENV / "bin"), *others, str(BIN)])


def shell_lines(environment: Mapping[str, str], mode: str) -> str:
    """Return the `export` lines `activate` evaluates: only what is not set already."""
    done = complete(environment, mode)
    return "\n".join(
        f"export {name}={shlex.quote(value)}"
        for name, value in done.items()
        if name != "PATH" and environment.get(name) != value
    )


def ensure_passphrase() -> None:
    """Make a random passphrase for this checkout's stacks, readable by its owner only.

    Raises ToolError when stacks made with a lost one exist: a new one could not read them.
    """
    if PASSPHRASE.exists():
        return
    if own_stacks():
        raise ToolError(
            f"{PASSPHRASE.name} no longer exists, and the stacks in {STATE.name} cannot be read without it.\n  Put your copy of the file back, or name the passphrase: export PULUMI_CONFIG_PASSPHRASE=…"
        )
    for path in ROOT.glob("Pulumi.*.yaml"):  # a salt of an earlier passphrase would refuse the new one
        text = path.read_text()
        if without_idle_salt(text) != text:
            path.write_text(without_idle_salt(text))
    with os.fdopen(os.open(PASSPHRASE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32))


def hide_salts() -> None:
    """Configure this clone's git to leave out the salt that Pulumi adds to stack files (tools/stack_file.py)."""
    if shutil.which("git") and (ROOT / ".git").exists():
        attempt(["git", "config", "filter.pulumi-salt.clean", "python3 tools/stack_file.py"])


def refresh_git_status() -> None:
    """Let `git status` agree with `git diff`: a stack file without a change but the salt is not modified.

    git takes another file size for a change without asking the filter. Given an index entry without a size it compares
    the contents once more, and records the new size. The entry keeps its content: nothing is added to the index.
    """
    if not shutil.which("git") or not (ROOT / ".git").exists():
        return
    for name in attempt(["git", "diff-files", "--name-only", "--", "Pulumi.*.yaml"]).stdout.split():
        if attempt(["git", "diff", "--quiet", "--", name]).returncode == 0:
            mode, blob, *_ = attempt(["git", "ls-files", "--stage", "--", name]).stdout.split()
            attempt(["git", "update-index", "--cacheinfo", f"{mode},{blob},{name}"])


def _login(home: Path) -> str:
    try:
        return str(json.loads((home / "credentials.json").read_text()).get("current") or "")
    except (OSError, ValueError):
        return ""


def _is_provider(resource: Mapping[str, object]) -> bool:
    return str(resource.get("type", "")).startswith("pulumi:providers:")
