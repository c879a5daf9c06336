"""Command: python -m tools <word>, which is what `make <word>` runs. Starts with any Python 3 and nothing installed."""

from __future__ import annotations

import sys

OLDEST = (3, 11)
HELP = """\
make up       deploy: tools, Docker Engine, images, stack, and `pulumi up`; ends with the URL of DHIS2
make down     remove the stack (`pulumi destroy`); keepData keeps its volumes
make recover  remove the lock and unrecorded objects of a killed run; `make up` and `make down` do it, too
make test     everything: lint, types, unit, container and end-to-end tests
make lint     ruff, mypy, shellcheck, shfmt, hadolint, actionlint
make unit     unit tests with mocks, in seconds;  make container, make e2e: against a real Docker Engine
make swarm    tests on a Docker Swarm of three nodes on this machine; needs root; takes 40 minutes
make faults   every fault of docs/faults.md on deployed stacks, with durations; takes half an hour
make clean    remove what was created in this folder; refuses while a stack is deployed

Variables for make up and make down:
  STACK=name              another stack than the selected one; its settings are in Pulumi.<name>.yaml
  OFFLINE=auto            official tools and images where they can be downloaded, else built here (default)
  OFFLINE=always|never    only those built here  |  only the official ones
  ARGS="--refresh"        passed on to pulumi
  PYTHON=python3.12       another Python than python3 (at least 3.11)

For plain Pulumi and the command dhis2-cluster in this shell: . ./activate"""
WORDS = (
    "up",
    "down",
    "recover",
    "test",
    "lint",
    "unit",
    "container",
    "e2e",
    "swarm",
    "faults",
    "clean",
    "environment",
)


def main(arguments: list[str]) -> int:
    """Run one target and return the exit code."""
    word = arguments[0] if arguments else "help"
    if word == "help":
        print(HELP)
        return 0
    if word not in WORDS:
        print(f"make {word}: there is no such target.\n\n{HELP}")
        return 2
    if sys.version_info < OLDEST:
        print(f"Python {sys.version.split()[0]} is too old, 3.11 is needed: make {word} PYTHON=python3.11")
        return 1
    # Here, because an older Python could not read them.
    from tools import bootstrap  # noqa: PLC0415

    return bootstrap.run(word)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
