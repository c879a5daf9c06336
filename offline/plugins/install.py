"""Installs the fake plugins where the Pulumi CLI finds them, and recognises those that are installed.

Command: python -m offline.plugins.install PULUMI_HOME
"""

import shlex
import shutil
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
MARK = b"# Fake plugin of dhis2-cluster"
# Pulumi starts plugins in the project's folder: no file there may be imported as one of their modules (-P).
LAUNCHER = """\
#!/bin/sh
{mark}: works only beside its checkout.
exec {python} -P -c {start} "$@"
"""
START = "import sys; sys.path.insert(0, {root!r}); from {module} import main; sys.exit(main())"


class Fake(NamedTuple):
    """One fake plugin; `package` is the Python SDK whose version it has, as the real plugin does.

    Of a `bundled` one the real plugin comes with the official CLI, and lies beside it.
    """

    kind: str
    name: str
    package: str
    module: str
    bundled: bool = False

    @property
    def executable(self) -> str:
        """The file name that the Pulumi CLI looks for."""
        return f"pulumi-{self.kind}-{self.name}"


FAKES = (
    Fake("language", "python", "pulumi", "offline.plugins.language_host.host", bundled=True),
    Fake("resource", "pulumi-python", "pulumi", "offline.plugins.dynamic_provider", bundled=True),
    Fake("resource", "docker", "pulumi-docker", "offline.plugins.docker_provider.provider"),
    Fake("resource", "random", "pulumi-random", "offline.plugins.random_provider.provider"),
)


def install(home: Path, fakes: Iterable[Fake]) -> list[Path]:
    """Install fake plugins into a PULUMI_HOME and return their executables; a real plugin is never overwritten."""
    wanted = {plugin_folder(home, fake) / fake.executable: fake for fake in fakes}
    return [write(path, fake) for path, fake in wanted.items() if is_fake(path) or not path.exists()]


def plugin_folder(home: Path, fake: Fake) -> Path:
    """Return the folder in which the Pulumi CLI keeps the plugin of this version."""
    return home / "plugins" / f"{fake.kind}-{fake.name}-v{metadata.version(fake.package)}"


def write(path: Path, fake: Fake) -> Path:
    """Write a fake plugin's executable in one step, so that no process starts half of it, and return its path."""
    start = START.format(root=str(ROOT), module=fake.module)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(LAUNCHER.format(mark=MARK.decode(), python=shlex.quote(sys.executable), start=shlex.quote(start)))
    part.chmod(0o755)
    return part.replace(path)


def is_fake(executable: Path) -> bool:
    """Return whether a file is the executable of a fake plugin, of this checkout or another one."""
    try:
        with executable.open("rb") as file:
            return MARK in file.read(len(LAUNCHER))
    except OSError:
        return False


def installed(home: Path) -> list[Path]:
    """Return the executables of the fake plugins in a PULUMI_HOME, of any version."""
    return [path for path in sorted(home.glob("plugins/*-v*/pulumi-*-*")) if is_fake(path)]


def uninstall(executable: Path) -> None:
    """Remove a fake plugin from a PULUMI_HOME, with the file in which the Pulumi CLI records its last use."""
    shutil.rmtree(executable.parent)
    executable.parent.with_name(f"{executable.parent.name}.lastused").unlink(missing_ok=True)


if __name__ == "__main__":
    print(*install(Path(sys.argv[1]), FAKES), sep="\n")
