"""The Python interpreter that runs the program, and the Pulumi plugins that its packages need."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pulumi.runtime.proto import plugin_pb2


class InterpreterError(Exception):
    """The interpreter was not found; the message names the command that fixes it."""


def find(root: str, virtualenv: str | None) -> str:
    """Return the interpreter of the virtual environment that Pulumi.yaml names; without one, the one on PATH."""
    if virtualenv is None:
        python = shutil.which("python3") or shutil.which("python")
        if python is None:
            raise InterpreterError("python3 not found on PATH, and Pulumi.yaml has no option `virtualenv`")
        return python
    folder = Path(root, virtualenv)
    if not (folder / "bin" / "python").exists():
        raise InterpreterError(
            f"The 'virtualenv' option in Pulumi.yaml is set to {virtualenv!r}, but {str(folder)!r} is not a virtual environment. Fix: make up"
        )
    return str(folder / "bin" / "python")


def activated(python: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which `python` and the commands beside it come first, as after `activate`."""
    folder = Path(python).parent
    active = {name: value for name, value in environment.items() if name != "PYTHONHOME"}
    active["PATH"] = os.pathsep.join([str(folder), environment.get("PATH", os.defpath)])
    if (folder.parent / "pyvenv.cfg").exists():
        active["VIRTUAL_ENV"] = str(folder.parent)
    return active


def required_plugins(python: str) -> list[plugin_pb2.PackageDependency]:
    """Return the plugins of the Pulumi SDKs that are installed for an interpreter, each in its SDK's version."""
    command = [python, "-c", "import json, site; print(json.dumps(site.getsitepackages()))"]
    folders = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603
    files = [path for folder in folders for path in sorted(Path(folder).glob("*/pulumi-plugin.json"))]
    plugins = [json.loads(path.read_text()) for path in files]
    return [
        plugin_pb2.PackageDependency(
            name=plugin["name"], kind="resource", version=f"v{plugin['version']}", server=plugin.get("server", "")
        )
        for plugin in plugins
        if plugin.get("resource") and plugin.get("version")
    ]
