"""Command: python -m offline.plugins install FOLDER. Writes the stand-ins' executables, which run in this checkout."""

import argparse
import sys
from pathlib import Path

from offline.plugins.launchers import install


def main(arguments: list[str] | None = None) -> int:
    """Write the executables into a folder and name each."""
    parser = argparse.ArgumentParser(prog="python -m offline.plugins", description=main.__doc__)
    parser.add_argument("verb", choices=["install"])
    parser.add_argument("folder", type=Path, help="folder of executables, on PATH where pulumi runs")
    for path in install(parser.parse_args(arguments).folder):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
