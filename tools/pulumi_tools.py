"""Find or get `pulumi`, its Python language host and its plugins: the person's own, official or fake ones."""

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
from collections.abc import Mapping, Sequence
from pathlib import Path

from components.orchestrator.error_text import short
from offline.plugins.install import FAKES, Fake, is_fake, plugin_folder, uninstall, write
from tools.choices import ALWAYS, NEVER
from tools.environment import fake_plugins, pulumi_home
from tools.paths import BIN, OFFICIAL, PULUMI_HOME, ROOT, TOOLS
from tools.terminal import ToolError, ask, attempt, capture, report

ARCHIVES = "https://get.pulumi.com/releases/sdk"
SUMS = "https://github.com/pulumi/pulumi/releases/download"  # the digests come from another place than the archive
CONNECT_SECONDS = 15
NAMES = ", ".join(fake.name for fake in FAKES if not fake.bundled)


def ensure(environment: Mapping[str, str], mode: str) -> None:
    """Make `pulumi`, the language host and the plugins available in `environment`; log where each comes from."""
    BIN.mkdir(parents=True, exist_ok=True)
    home = pulumi_home(environment)
    if mode == NEVER:
        _remove_fakes(home)
    where = _pulumi(environment, mode)
    version = capture([where, "version"], dict(environment)).strip()
    origin = "" if BIN not in where.parents else ", official" if OFFICIAL in where.resolve().parents else ", built here"
    report("pulumi", f"{version or 'of unknown version'}{origin or f' at {where}'}")
    missing = _missing(where, environment, mode)
    if missing and mode == NEVER:
        listed = ", ".join(fake.executable for fake in missing)
        raise ToolError(f"OFFLINE=never, and {listed} can be found neither on PATH nor on the network. Run: make up")
    installed = [write(_place(fake, home), fake) for fake in missing]
    _remove_fakes(home, but=installed)
    if not missing:
        report("plugins", f"{NAMES} and the Python language host are here")
        return
    listed = ", ".join(f"{fake.kind} {fake.name}" for fake in missing)
    why = (
        "OFFLINE=always" if mode == ALWAYS else "the official ones are or were out of reach; OFFLINE=never tries again"
    )
    report("plugins", f"fake plugins for {listed} ({why})")
    if any(path.parent == BIN for path in installed):
        report("plugins", f"they are on PATH, of which Pulumi warns: none is installed into your PULUMI_HOME {home}")


def sdk_version(package: str) -> str:
    """Return the version requirements.txt pins a package to; Pulumi's plugins follow their SDK's."""
    pin = re.search(rf"^{re.escape(package)}==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    if not pin:
        raise ToolError(f"requirements.txt pins no {package}. Restore it: git checkout -- requirements.txt")
    return pin[1]


def others(path: str) -> str:
    """Return PATH without the checkout's own tools: what is there is the person's."""
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
    # One built here stays until OFFLINE=never asks for the official one: a request each time would cost what it saves.
    if mode == NEVER or (mode != ALWAYS and not built):
        try:
            _download()
            return link
        except (OSError, tarfile.TarError) as error:
            reason = short(getattr(error, "reason", error))
            if mode == NEVER:
                raise ToolError(f"OFFLINE=never, and {ARCHIVES} cannot be reached: {reason}. Run: make up") from error
            report("pulumi", f"no official one ({reason}), building it from its Go module")
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
    report("pulumi", f"official v{version} downloaded", started)


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=CONNECT_SECONDS) as answer:  # noqa: S310 - our own https addresses
        return bytes(answer.read())


def _missing(pulumi: Path, environment: Mapping[str, str], mode: str) -> list[Fake]:
    """Return the plugins of which there is no real one, after trying to install the official ones."""
    home = pulumi_home(environment)
    missing = [fake for fake in FAKES if not _is_here(fake, pulumi, environment)]
    # Where a fake plugin is in use, the network is asked again only with OFFLINE=never.
    used = {path.name for path in fake_plugins(home)}
    return [
        fake
        for fake in missing
        if mode == ALWAYS or fake.executable in used or fake.bundled or not _install(pulumi, fake, environment)
    ]


def _is_here(fake: Fake, pulumi: Path, environment: Mapping[str, str]) -> bool:
    """Return whether the Pulumi CLI finds a real plugin: on PATH, beside itself, or in PULUMI_HOME."""
    folder = plugin_folder(pulumi_home(environment), fake)
    on_path = shutil.which(fake.executable, path=others(environment["PATH"]))
    beside = pulumi.resolve().parent
    candidates = [
        *([Path(on_path)] if on_path else []),
        *([beside / fake.executable] if fake.bundled and beside != BIN else []),
        *([folder / fake.executable] if not folder.with_name(f"{folder.name}.partial").exists() else []),
    ]
    return any(path.exists() and not is_fake(path) for path in candidates)


def _place(fake: Fake, home: Path) -> Path:
    """Return where a fake plugin belongs: into the checkout's own PULUMI_HOME, else on PATH.

    A person's own home serves their other projects too. Fake plugins are there only when the person has installed them.
    """
    path = plugin_folder(home, fake) / fake.executable
    if home != PULUMI_HOME and not is_fake(path):
        return BIN / fake.executable
    path.parent.with_name(f"{path.parent.name}.partial").unlink(missing_ok=True)  # of a download that was interrupted
    return path


def _install(pulumi: Path, fake: Fake, environment: Mapping[str, str]) -> bool:
    # Asked first, because without a network Pulumi tries again for a long time.
    if not _reachable("https://github.com") and not _reachable("https://get.pulumi.com"):
        return False
    version = f"v{sdk_version(fake.package)}"
    report("plugins", f"installing {fake.name} {version}")
    allowed = {k: v for k, v in environment.items() if k != "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"}
    return attempt([pulumi, "plugin", "install", fake.kind, fake.name, version], allowed).returncode == 0


def _reachable(url: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=CONNECT_SECONDS):  # noqa: S310
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500  # noqa: PLR2004 - it answers, be it with a redirect or a refusal of HEAD
    except OSError:
        return False


def _copy(built: Path, copy: Path) -> None:
    """Put the built pulumi into the checkout, where it stays when the cache is emptied."""
    copy.unlink(missing_ok=True)
    try:
        os.link(built, copy)
    except OSError:  # another file system
        shutil.copy2(built, copy)


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _remove_fakes(home: Path, but: Sequence[Path] = ()) -> None:
    for path in fake_plugins(home):
        if path not in but:
            path.unlink() if path.parent == BIN else uninstall(path)
