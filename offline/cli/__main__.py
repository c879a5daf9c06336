"""Command: python -m offline.cli. Makes a `pulumi` executable; ends with its path alone on a line."""

import os
import sys

from offline.cli.build import ensure
from offline.images.machine import OfflineError


def main() -> int:
    """Print progress, then the absolute path of the executable; 1 when it cannot be built, with the reason."""
    # The toolchain that is installed, and none it would download; no workspace around the checkout; no C compiler.
    os.environ.update(GOTOOLCHAIN="local", GOWORK="off", CGO_ENABLED="0")
    try:
        print(ensure(lambda text: print(text, flush=True)), flush=True)
    except (OfflineError, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
