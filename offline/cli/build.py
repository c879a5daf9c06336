"""The Pulumi CLI as a Go tool dependency: the modules are pinned by go.mod and go.sum here, the result is cached.

The official release is the same source built by Pulumi; this way needs only a Go toolchain and a Go module proxy.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from offline.images.machine import OfflineError, cache_folder, keep_newest, locked, run, unfinished

FOLDER = Path(__file__).parent
MODULE = "github.com/pulumi/pulumi/pkg/v3"
COMMAND = f"{MODULE}/cmd/pulumi"
# The CLI takes its version from here; without it, it calls itself a development build.
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
SETTINGS = ("GOVERSION", "GOOS", "GOARCH", "GOARM", "GOAMD64", "GOARM64", "CGO_ENABLED")
GO_MISSING = "Install Go (https://go.dev/doc/install), or put an official pulumi on PATH."
DOWNLOAD_HINT = "Name a Go module proxy that answers: export GOPROXY=https://…,direct  (now: {proxy})"
# Without inlining, debug information, and gRPC's xDS client, which Google's storage client links in: compiling takes
# less time, each command 0.1 s longer. Measured in bench/README.md.
TAGS = "-tags=disable_grpc_modules"
BUILD_FLAGS = ("-trimpath", "-buildvcs=false", TAGS, "-gcflags=all=-l -dwarf=false")
BUILD_HINT = "Is there enough memory and disk (about 2 GB each)? Then try again: python -m offline.cli"


def ensure(log: Callable[[str], None]) -> Path:
    """Return the built `pulumi`, from the cache when these pins were built for this machine before.

    Raises OfflineError naming what is missing: Go, a module proxy, or what the compiler found.
    """
    settings = _go_settings()
    folder = cache_folder("cli")
    # Named by the pins: the binary of older pins is another file, and is removed later.
    binary = folder / f"pulumi-{digest(FOLDER, settings)}"
    with locked("cli"):
        if not binary.exists():
            _build(binary, settings, log)
            keep_newest(folder, "pulumi-*")
    return binary.resolve()


def digest(folder: Path, settings: dict[str, str]) -> str:
    """Return what a build depends on as a short hash: the pins and the kind of machine Go builds for."""
    hashed = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        hashed.update((folder / name).read_bytes() + b"\0")
    hashed.update(json.dumps({name: settings.get(name, "") for name in SETTINGS}, sort_keys=True).encode())
    return hashed.hexdigest()[:16]


def pinned_version(text: str) -> str:
    """Return the version of the CLI's module that a go.mod requires, with its `v`."""
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(MODULE)}\s+(v\S+)", text, re.MULTILINE)
    if not found:
        raise OfflineError(f"offline/cli/go.mod requires no {MODULE}. Restore it: git checkout -- offline/cli")
    return found[1]


def check_go(settings: dict[str, str], text: str) -> None:
    """Refuse a Go older than the one go.mod's `go` line asks for; OfflineError says both versions."""
    wanted = re.search(r"^go (\S+)", text, re.MULTILINE)
    have = settings.get("GOVERSION", "")
    if wanted and _numbers(have) < _numbers(wanted[1]):
        raise OfflineError(f"building pulumi: Go {wanted[1]} or newer is needed, {have} is installed. {GO_MISSING}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _go_settings() -> dict[str, str]:
    answer = run(["go", "env", "-json", *SETTINGS, "GOPROXY"], "building pulumi", GO_MISSING, cwd=FOLDER.parent)
    return {str(name): str(value) for name, value in json.loads(answer).items()}


def _build(binary: Path, settings: dict[str, str], log: Callable[[str], None]) -> None:
    pins = (FOLDER / "go.mod").read_text()
    check_go(settings, pins)
    version = pinned_version(pins)
    started = time.monotonic()
    log(f"fetching the modules of pulumi {version}")
    run(
        ["go", "list", "-deps", TAGS, COMMAND],
        f"fetching the Go modules of pulumi {version}",
        DOWNLOAD_HINT.format(proxy=settings.get("GOPROXY") or "none"),
        cwd=FOLDER,
    )
    log(f"compiling pulumi {version} (some minutes, once for this machine)")
    flags = f"-s -w -X {VERSION_VARIABLE}={version}"
    with unfinished(binary) as part:
        run(
            ["go", "build", *BUILD_FLAGS, "-ldflags", flags, "-o", str(part), COMMAND],
            f"compiling pulumi {version} with {settings.get('GOVERSION', 'Go')}",
            BUILD_HINT,
            cwd=FOLDER,
        )
    log(f"pulumi {version} built in {time.monotonic() - started:.0f} s")
