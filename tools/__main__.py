"""Command: python -m tools <word>, which is what `make <word>` runs. Starts with any Python 3 and nothing installed."""

from __future__ import annotations

import sys

OLDEST = (3, 11)
HELP = """\
make up       deploy: tools, Docker engine, images, stack, and `pulumi up`; ends with the address of DHIS2
make down     remove everything of the stack (`pulumi destroy`); volumes stay where keepData is true
make recover  put a stack in order after a killed run; `make up` and `make down` do it by themselves
make test     everything: lint, types, unit, container and end-to-end tests
make lint     ruff, mypy, shellcheck, hadolint
make unit     unit tests with mocks, in seconds;  make container, make e2e: against a real Docker engine
make clean    remove what was made in this folder; refuses while something is deployed

Words after make up and make down:
  STACK=name              another stack than the selected one; its settings are in Pulumi.<name>.yaml
  OFFLINE=auto            official tools and images where they can be had, else what this folder builds (default)
  OFFLINE=always|never    only what this folder builds  |  only the official ones
  ARGS="--refresh"        passed on to pulumi
  PYTHON=python3.12       another Python than python3 (at least 3.11)

For plain Pulumi in this shell: . ./activate"""
WORDS = ("up", "down", "recover", "test", "lint", "unit", "container", "e2e", "clean", "environment")


def main(arguments: list[str]) -> int:
    """Run one word and return the exit code."""
    word = arguments[0] if arguments else "help"
    if word == "help":
        print(HELP)
        return 0
    if word not in WORDS:
        print(f"make {word}: there is no such word.\n\n{HELP}")
        return 2
    if sys.version_info < OLDEST:
        print(f"Python {sys.version.split()[0]} is too old, 3.11 is needed: make {word} PYTHON=python3.11")
        return 1
    # Here, because an older Python could not read them.
    from tools import bootstrap  # noqa: PLC0415

    return bootstrap.run(word)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
