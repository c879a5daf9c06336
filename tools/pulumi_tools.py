"""Finds or gets `pulumi`, its Python language host and its plugins: the person's own, official ones, or stand-ins."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path

from components.orchestrator.error_text import short
from tools.choices import ALWAYS, NEVER
from tools.environment import STAND_INS
from tools.paths import BIN, OFFICIAL, ROOT, TOOLS
from tools.terminal import ToolError, ask, attempt, capture, say

ARCHIVES = "https://get.pulumi.com/releases/sdk"
SUMS = "https://github.com/pulumi/pulumi/releases/download"  # the digests come from another place than the archive
CONNECT_SECONDS = 15
PLUGINS = {"docker": "pulumi-docker", "random": "pulumi-random"}  # plugin: SDK whose version it shares
# Kept in .tools/bin as stand-ins when there is nothing better.
LANGUAGE_HOST = "pulumi-language-python"


def ensure(environment: Mapping[str, str], mode: str) -> None:
    """Make `pulumi`, the language host and the plugins available in `environment`; says where each comes from."""
    BIN.mkdir(parents=True, exist_ok=True)
    if mode == NEVER:
        _drop_stand_ins(STAND_INS)
    where = _pulumi(environment, mode)
    version = capture([where, "version"], dict(environment)).strip()
    origin = "" if BIN not in where.parents else ", official" if OFFICIAL in where.resolve().parents else ", built here"
    say("pulumi", f"{version or 'of unknown version'}{origin or f' at {where}'}")
    missing = _missing(where, environment, mode)
    if not missing:
        _drop_stand_ins(STAND_INS)
        say("plugins", f"{', '.join(PLUGINS)} and the Python language host are here")
        return
    if mode == NEVER:
        raise ToolError(
            f"OFFLINE=never, and {', '.join(missing)} can be found neither on PATH nor on the network. Run: make up"
        )
    capture([sys.executable, "-m", "offline.plugins", "install", BIN])
    _drop_stand_ins(name for name in STAND_INS if name.removesuffix("-exec") not in missing)
    names = [name.removeprefix("pulumi-").removeprefix("resource-") for name in missing]
    out_of_reach = "the official ones are or were out of reach; OFFLINE=never looks again"
    why = "OFFLINE=always" if mode == ALWAYS else out_of_reach
    say("plugins", f"stand-ins for {', '.join(names)} ({why})")


def sdk_version(package: str) -> str:
    """Return the version requirements.txt pins a package to; Pulumi's plugins follow their SDK's."""
    found = re.search(rf"^{re.escape(package)}==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    if not found:
        raise ToolError(f"requirements.txt pins no {package}. Restore it: git checkout -- requirements.txt")
    return found[1]


def others(path: str) -> str:
    """Return PATH without the checkout's own tools: what is found there is the person's."""
    return os.pathsep.join(part for part in path.split(os.pathsep) if part != str(BIN))


def archive_name(version: str, machine: str, system: str) -> str:
    """Return the file name of the official release for a machine such as x86_64 or aarch64."""
    architecture = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(machine.lower())
    if architecture is None:
        raise ToolError(f"there is no official pulumi for {machine}. Put one on PATH, or: make up OFFLINE=always")
    return f"pulumi-v{version}-{system.lower()}-{architecture}.tar.gz"


def expected_sum(sums: str, name: str) -> str:
    """Return the SHA-512 of a file from a list of `<digest>  <name>` lines; ToolError when it is not there."""
    for line in sums.splitlines():
        digest, _, listed = line.strip().partition(" ")
        if listed.strip().lstrip("*").removeprefix("./") == name:
            return digest
    raise ToolError(f"the release's SHA512SUMS does not list {name}")


def _pulumi(environment: Mapping[str, str], mode: str) -> Path:
    own = shutil.which("pulumi", path=others(environment["PATH"]))
    if own:
        return Path(own)
    link = BIN / "pulumi"
    built = link.exists() and OFFICIAL not in link.resolve().parents
    if link.exists() and not built:
        return link
    # One built here stays until somebody asks for the official one: looking each time would cost what it saves.
    if mode == NEVER or (mode != ALWAYS and not built):
        try:
            _download()
            return link
        except (OSError, tarfile.TarError) as error:
            reason = short(getattr(error, "reason", error))
            if mode == NEVER:
                raise ToolError(f"OFFLINE=never, and {ARCHIVES} cannot be reached: {reason}. Run: make up") from error
            say("pulumi", f"no official one ({reason}), building it from its Go module")
    _copy(ask("pulumi", [sys.executable, "-m", "offline.cli"]), link)  # at once, unless its pin has changed
    return link


def _download() -> None:
    """Unpack the official release of the SDK's version beside our tools, checked against its published digest."""
    started = time.monotonic()
    version = sdk_version("pulumi")
    name = archive_name(version, platform.machine(), platform.system())
    sums = _fetch(f"{SUMS}/v{version}/SHA512SUMS").decode()
    content = _fetch(f"{ARCHIVES}/{name}")
    if hashlib.sha512(content).hexdigest() != expected_sum(sums, name):
        raise ToolError(f"{ARCHIVES}/{name} is not the file its release lists. Try again: make up")
    part = TOOLS / f"{name}.part"
    part.write_bytes(content)
    shutil.rmtree(OFFICIAL, ignore_errors=True)
    with tarfile.open(part) as archive:
        archive.extractall(TOOLS, filter="data")  # holds one folder: pulumi/
    part.unlink()
    _link(BIN / "pulumi", OFFICIAL / "pulumi")
    say("pulumi", f"official v{version} downloaded", started)


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=CONNECT_SECONDS) as answer:  # noqa: S310 - our own https addresses
        return bytes(answer.read())


def _missing(pulumi: Path, environment: Mapping[str, str], mode: str) -> list[str]:
    """Return the executables the engine would not find, after trying to install the official plugins."""
    path = others(environment["PATH"])
    beside = pulumi.resolve().parent
    # Official releases bring the language hosts; what is beside a pulumi built here is a stand-in.
    bundled = beside != BIN and (beside / LANGUAGE_HOST).exists()
    missing = [] if bundled or shutil.which(LANGUAGE_HOST, path=path) else [LANGUAGE_HOST]
    for plugin, package in PLUGINS.items():
        executable = f"pulumi-resource-{plugin}"
        version = sdk_version(package)
        if shutil.which(executable, path=path) or _installed(plugin, version, environment):
            continue
        kept = mode != NEVER and (BIN / executable).exists()
        if kept or mode == ALWAYS or not _install(pulumi, plugin, version, environment):
            missing.append(executable)
    return missing


def _installed(plugin: str, version: str, environment: Mapping[str, str]) -> bool:
    home = Path(environment.get("PULUMI_HOME") or Path(environment.get("HOME") or "/") / ".pulumi")
    return (home / "plugins" / f"resource-{plugin}-v{version}").is_dir()


def _install(pulumi: Path, plugin: str, version: str, environment: Mapping[str, str]) -> bool:
    # Asked first, because without a network the engine goes on trying for a long time.
    if not _reachable("https://github.com") and not _reachable("https://get.pulumi.com"):
        return False
    say("plugins", f"installing {plugin} v{version}")
    allowed = {k: v for k, v in environment.items() if k != "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"}
    return attempt([pulumi, "plugin", "install", "resource", plugin, f"v{version}"], allowed).returncode == 0


def _reachable(url: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=CONNECT_SECONDS):  # noqa: S310
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500  # noqa: PLR2004 - it answers, be it with a redirect or a refusal of HEAD
    except OSError:
        return False


def _copy(built: Path, copy: Path) -> None:
    """Put the built pulumi beside the language host's stand-in: it warns of one that is not in its own folder."""
    copy.unlink(missing_ok=True)
    try:
        os.link(built, copy)
    except OSError:  # another file system
        shutil.copy2(built, copy)


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _drop_stand_ins(names: Iterable[str]) -> None:
    for name in names:
        (BIN / name).unlink(missing_ok=True)
