"""Programs of Go modules for tests, pinned by a folder's go.mod and go.sum, compiled once a machine."""

from pathlib import Path

from offline.cli.build import SETTINGS, digest
from offline.images.artefacts import GO_BUILD
from offline.images.machine import cache_folder, locked, run


def go_programs(folder: Path, *packages: str) -> dict[str, Path]:
    """Return programs by name, from the cache when these pins were built for this machine before."""
    cache = cache_folder(folder.name, digest(folder, dict.fromkeys(SETTINGS, "")))
    programs = {package.rpartition("/")[2]: package for package in packages}
    with locked(folder.name):
        for name, package in programs.items():
            if not (cache / name).exists():
                part = cache / f"{name}.part"
                run([*GO_BUILD, "-o", str(part), package], f"compiling {name}", "Is Go installed?", folder)
                part.replace(cache / name)
    return {name: cache / name for name in programs}
