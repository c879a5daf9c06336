"""Command: python -m cli, which is what `dhis2-cluster` runs."""

import sys

from cli.app import main

if __name__ == "__main__":
    sys.exit(main())
