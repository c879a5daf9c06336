"""Starts the Python SDK's own provider of dynamic resources, as the script does that comes with the official CLI."""

import os
import sys

from offline.plugins.language_host import interpreter


def main() -> int:
    """Become the provider, with the Python of the virtual environment that Pulumi.yaml names.

    The working directory is the project's, whose modules the provider imports.
    """
    virtualenv = os.environ.get("PULUMI_RUNTIME_VIRTUALENV")  # set by the Pulumi engine, from Pulumi.yaml
    try:
        python = interpreter.find(os.getcwd(), virtualenv) if virtualenv else sys.executable
    except interpreter.InterpreterError as error:
        print(error, file=sys.stderr)
        return 1
    command = [python, "-u", "-m", "pulumi.dynamic", *sys.argv[1:]]
    os.execve(python, command, interpreter.activated(python, os.environ))  # noqa: S606 - no shell
