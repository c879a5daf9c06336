"""Command: python -m bench NAME [options]. Prints medians and ratios; nothing is judged by seconds."""

import argparse
import sys
from types import ModuleType

from bench import memory, noop, proxy, restore, scale, swarm
from bench.engine import BenchError

BENCHES: dict[str, ModuleType] = {
    "restore": restore,
    "noop": noop,
    "scale": scale,
    "proxy": proxy,
    "memory": memory,
    "swarm": swarm,
}
REPETITIONS = 3


def main(arguments: list[str] | None = None) -> int:
    """Measure and print a table; 1 when there is nothing to measure with."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=main.__doc__)
    names = parser.add_subparsers(dest="name", required=True)
    for name, module in BENCHES.items():
        own = names.add_parser(name, help=module.__doc__, description=module.__doc__)
        own.add_argument("--repetitions", type=int, default=REPETITIONS, help=f"how often (default {REPETITIONS})")
        module.options(own)
    chosen = parser.parse_args(arguments)
    try:
        print(BENCHES[chosen.name].run(chosen), flush=True)
    except BenchError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
