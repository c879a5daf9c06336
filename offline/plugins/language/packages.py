"""What is installed for the program, and which plugins it therefore needs."""

import json
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from pulumi.runtime.proto import plugin_pb2


def version(package: str) -> str:
    """Return the installed version of a package beside this stand-in, in the engine's form."""
    return f"v{metadata.version(package)}"


def site_folders(python: Path) -> list[str]:
    """Return the folders an interpreter looks for packages in; empty when it does not start."""
    asked = [str(python), "-c", "import json, site; print(json.dumps(site.getsitepackages()))"]
    done = subprocess.run(asked, check=False, capture_output=True, text=True)  # noqa: S603 - the project's interpreter
    return [str(folder) for folder in json.loads(done.stdout)] if done.returncode == 0 else []


def installed(folders: list[str]) -> list[tuple[str, str]]:
    """Return name and version of every distribution in the folders, by name."""
    return sorted((each.metadata["Name"], each.version) for each in metadata.distributions(path=folders))


def required(folders: list[str]) -> list[plugin_pb2.PackageDependency]:
    """Return the plugins that the Pulumi SDKs in these folders stand for.

    With their versions: the engine then takes what is on PATH, and would only download what is not there at all.
    """
    return [
        plugin_pb2.PackageDependency(
            name=plugin["name"], kind="resource", version=f"v{plugin['version']}", server=plugin.get("server", "")
        )
        for plugin in _plugins(folders)
        if plugin.get("resource") and plugin.get("version")
    ]


def _plugins(folders: list[str]) -> Iterator[dict[str, str]]:
    for folder in folders:
        for path in sorted(Path(folder).glob("*/pulumi-plugin.json")):
            yield json.loads(path.read_text())
